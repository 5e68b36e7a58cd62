"""The model registry: artifacts, their manifests, and the code that publishes, reads and verifies them."""
