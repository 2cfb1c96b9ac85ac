"""Media: everything that reads or writes video files. PyAV is used here and in `quality` and nowhere else."""
