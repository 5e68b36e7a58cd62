"""What each command of `python -m loadgen` does, from the words of its command line to its exit status."""
