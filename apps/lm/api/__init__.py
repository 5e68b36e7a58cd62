"""The HTTP API: the routes and schemas of each protocol, and what all protocols share."""
