"""Several cameras in one process: one file that names them, one network for those that share it, a life for each."""
