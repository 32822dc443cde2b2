"""Attacks: frozen configurations that give a table of records and scores, one family a file."""
