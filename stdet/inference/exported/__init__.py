"""A trained network as files for other programs, and the check that they say what it says."""
