"""What a person sees of a run in a terminal: the live view, the summary, and the drawn digit of `query`."""
