"""Footage with truth, changed as cameras and files change it."""
