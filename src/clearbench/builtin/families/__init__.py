"""Tiny configurations of vision-language families: one file each, which is the list."""
