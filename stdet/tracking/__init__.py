"""Tracking of points: motion, association, track life. NumPy only."""
