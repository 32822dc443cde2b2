"""Where datasets come from: one file per source."""
