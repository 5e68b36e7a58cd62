"""Serves a model over HTTP: what all services here share, on FastAPI and uvicorn. README.md shows the parts.

A service is a subclass of `service.Service`; its `__main__` passes an instance to `server.main`. Tests use
`app.create_app`. Nothing is imported here, so that `python -m apps.classifier.probe_client` starts in milliseconds.
"""
