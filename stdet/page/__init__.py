"""A page to watch a live run on, and to look through a finished one, in a browser."""
