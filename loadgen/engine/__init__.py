"""Sends the load of a plan with a process a core, and streams a record of every request to disk."""
