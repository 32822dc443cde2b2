"""Readers of published logs as records, one per format."""
