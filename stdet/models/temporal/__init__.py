"""Temporal modules: fusion of T per-frame feature maps into the key frame's, one a file."""
