"""Files read and written safely: regular, atomic, locked, text, YAML and settings."""
