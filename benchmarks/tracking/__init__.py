"""Trackers side by side on generated detections and on recorded ones."""
