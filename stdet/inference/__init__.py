"""A stream from frames to tracks, and the files it leaves."""
