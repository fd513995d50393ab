"""Assignment, losses, optimisation and the epoch loop."""
