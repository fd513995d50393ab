"""Metrics of detection and tracking: numbers in, numbers out. NumPy only."""
