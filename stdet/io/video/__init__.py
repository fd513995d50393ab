"""Video files as frame sources, and video files out."""
