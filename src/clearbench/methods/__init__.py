"""One file per unlearning method; the folder is the list."""
