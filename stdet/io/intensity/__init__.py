"""The levels of a sequence: which belong to the scene, and how they become [0, 1]."""
