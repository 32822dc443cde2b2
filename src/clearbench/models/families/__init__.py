"""One file per family of models that differs from the default."""
