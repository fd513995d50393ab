"""Checks and statistics of data sets, for `stdet data check` and `stdet data stats`."""
