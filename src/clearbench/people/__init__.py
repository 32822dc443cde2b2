"""Fictitious people, their questions, portraits and captions."""
