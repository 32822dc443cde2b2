"""One file per modality."""
