"""Does it come back? Attacks on a model that has forgotten."""
