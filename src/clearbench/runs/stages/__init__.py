"""Kinds of stage, one file per kind: the ingredients, and how it is made."""
