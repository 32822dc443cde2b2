"""What `clearbench unlearn` leaves beside a model: what it knew, what it says now, what is open."""
