"""From a model, from files or from masks to a report."""
