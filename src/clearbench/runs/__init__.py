"""Runs a recipe as stages in folders that survive a kill."""
