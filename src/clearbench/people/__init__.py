"""Who: fictitious people, their questions, portraits and captions."""
