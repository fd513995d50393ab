"""One file per annotation or result format, reading and writing together."""
