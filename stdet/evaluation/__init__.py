"""Metrics of detection and tracking. NumPy only."""
