"""The detector: backbone, pyramid, temporal fusion and head. Knows no files."""
