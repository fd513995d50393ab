"""Frames in and out: sources, intensity scales, video writing and drawing."""
