"""The services, and the core that they share."""
