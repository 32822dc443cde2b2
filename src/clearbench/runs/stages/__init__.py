"""One file per kind of stage: what decides it, and how it is made."""
