"""One file per form of own rows."""
