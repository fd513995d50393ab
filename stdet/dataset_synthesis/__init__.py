"""Generated data sets: settings, files, and their match to the statistics of labels."""
