"""Per-frame pyramids, one file each, all with the same interface."""
