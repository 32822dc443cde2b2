"""One file per format of files with own rows."""
