"""Frames, annotations and clips: everything between the disk and the detector."""
