"""The HTTP API: a module for the routes of each protocol."""
