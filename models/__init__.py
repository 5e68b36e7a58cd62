"""The model registry: artifacts, their manifests, and the code that reads and verifies them."""
