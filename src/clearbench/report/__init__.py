"""The report of a run: tables, plots, one self-contained page, and the closing words."""
