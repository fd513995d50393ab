"""Tables, charts and pages of a report, and the comparison of runs."""
