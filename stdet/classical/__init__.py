"""Detectors that need no training: a response map per frame, and the peaks of it."""
