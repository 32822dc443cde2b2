"""Attacks: frozen configurations that compute a table of records and scores, a file a family."""
