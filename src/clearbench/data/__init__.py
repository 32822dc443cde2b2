"""Rows and their checks; forget, retain and holdout; batches."""
