"""The models that ship, and how they and the portraits were made."""
