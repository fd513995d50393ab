"""Sequences with their truth, clips cut from them, and the samples that training draws."""
