"""Measures a model once into records; metrics are arithmetic on records."""
