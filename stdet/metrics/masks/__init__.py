"""Metrics of binary masks."""
