"""One file per family of metrics; the folder is the list."""
