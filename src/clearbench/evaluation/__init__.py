"""Measure once, keep records; metrics are arithmetic on records."""
