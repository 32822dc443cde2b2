"""Shipped models, and the code that made them and the portraits."""
