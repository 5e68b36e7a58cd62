"""Pure functions from the records of a run to its figures."""
