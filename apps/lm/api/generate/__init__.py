"""POST /generate, the protocol of this service."""
