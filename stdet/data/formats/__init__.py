"""One file per on-disk format, reading and writing together."""
