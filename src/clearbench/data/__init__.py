"""Dataset rows, their sources, checks and splits (forget, retain, holdout)."""
