"""Watches a release on its cluster while load runs, and holds what was seen."""
