"""The registered background: how it moved, which pixels are bad, and what moves against it."""
