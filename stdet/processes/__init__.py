"""Signals, worker processes and progress: what a long run needs of the system."""
