"""What each stage costs, in every engine, frame by frame in turns in one process."""
