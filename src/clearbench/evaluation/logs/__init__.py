"""Published logs as records: one reader per format."""
