"""A recipe becomes stages in folders that survive a kill."""
