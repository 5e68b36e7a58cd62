"""What every service here shares: one small model server on FastAPI and uvicorn.

A service is a subclass of `service.Service` (settings, load, warm_up, add_routes); its `__main__` hands an
object of it to `server.main`. Its routes read bodies by `body.read_json`, describe them by `body.json_body`,
compute by `runtime.compute(request, function)` and raise `problems.Problem`. Tests drive `app.create_app`.

Nothing is imported here: `python -m apps.classifier.probe_client` shall start in milliseconds.
"""
