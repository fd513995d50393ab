"""Metrics of tracks: CLEAR, identity, HOTA, track quality."""
