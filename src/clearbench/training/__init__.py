"""The one loop, for teaching and for every gradient method."""
