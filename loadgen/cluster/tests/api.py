"""A small Kubernetes API of JSON objects for the tests of `watch`: lists and watches, errors on demand."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

LABELS = {"app": "classifier"}


class Api:
    """Objects by the plural of their resource; `refusals` maps a plural to the status that answers for it."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, dict[str, Any]]] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, int] = {}
        self.clock_ahead = 0.0
        self.oldest_version = 0
        self.requests: list[str] = []
        self.epoch = 0  # watches of an earlier epoch end
        self.changed = threading.Condition()

    def put(self, plural: str, name: str, **fields: Any) -> None:
        with self.changed:
            operation = "MODIFIED" if name in self.objects.setdefault(plural, {}) else "ADDED"
            metadata = {"labels": LABELS, **fields.pop("metadata", {}), "name": name, "namespace": "inference"}
            item = {"metadata": {**metadata, "resourceVersion": str(len(self.changes) + 1)}, **fields}
            self.objects[plural][name] = item
            self._note(operation, plural, item)

    def delete(self, plural: str, name: str) -> None:
        with self.changed:
            self._note("DELETED", plural, self.objects[plural].pop(name))

    def _note(self, operation: str, plural: str, item: dict[str, Any]) -> None:
        self.changes.append((operation, plural, json.loads(json.dumps(item))))
        self.changed.notify_all()

    def end_watches(self) -> None:
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def lines(self, plural: str, version: int) -> Iterator[bytes]:
        """The changes of a resource after a version, until the watches are ended."""
        epoch = self.epoch
        while True:
            with self.changed:
                while epoch == self.epoch and len(self.changes) <= version:
                    self.changed.wait()
                if epoch != self.epoch:
                    return
                new, version = self.changes[version:], len(self.changes)
            for operation, changed, item in new:
                if changed == plural:
                    yield json.dumps({"type": operation, "object": item}).encode() + b"\n"


class Handler(BaseHTTPRequestHandler):
    api: Api

    def log_message(self, *words: object) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() + self.api.clock_ahead, usegmt=True)

    def do_GET(self) -> None:
        url, api = urlparse(self.path), self.api
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        parent, plural = url.path.split("/")[-2:]
        if url.path == "/version":
            return self.answer(200, {"gitVersion": "v1.35.4"})
        name = ""
        if plural not in api.objects and parent in api.objects:  # .../deployments/classifier-service
            plural, name = parent, plural
        plural = f"metrics {plural}" if "metrics.k8s.io" in url.path else plural
        plural = f"system {plural}" if "/kube-system/" in url.path else plural
        api.requests.append(self.path)
        if status := api.refusals.get(plural):
            return self.answer(status, {"kind": "Status", "message": f"{plural} is forbidden", "code": status})
        items = api.objects.get(plural, {})
        if name:
            missing = {"kind": "Status", "message": f'{plural} "{name}" not found', "code": 404}
            return self.answer(200, items[name]) if name in items else self.answer(404, missing)
        if "watch" not in query:
            metadata = {"resourceVersion": str(len(api.changes))}
            return self.answer(200, {"metadata": metadata, "items": list(items.values())})
        if int(query["resourceVersion"]) < api.oldest_version:
            return self.answer(410, {"kind": "Status", "message": "too old resource version", "code": 410})
        self.send_response(200)
        self.end_headers()
        for line in api.lines(plural, int(query["resourceVersion"])):
            self.wfile.write(line)
            self.wfile.flush()

    def answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """The URL at which the API answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"api": api}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        api.end_watches()
        server.shutdown()
        thread.join()
        server.server_close()
