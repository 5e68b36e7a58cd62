"""A stand-in for the hub's HTTP API on 127.0.0.1, with one repository. It records requests."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPOSITORY = "someone/tiny-gpt2"


class StandIn(ThreadingHTTPServer):
    """`commits` maps a commit (40 hexadecimal digits) to its folder; `main` names one of them."""

    def __init__(self, commits: dict[str, Path], main: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits, self.main = commits, main
        self.requests: list[str] = []  # such as "GET /path"
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers for a GET of `path`."""
        api = f"/api/models/{REPOSITORY}"
        if path.startswith(f"{api}/revision/"):
            return self._revision(path.removeprefix(f"{api}/revision/"))
        if path.startswith(f"{api}/tree/"):
            return self._tree(path.removeprefix(f"{api}/tree/"))
        if path.startswith(f"/{REPOSITORY}/resolve/"):
            return self._file(*path.removeprefix(f"/{REPOSITORY}/resolve/").split("/", 1))
        return 404, b"", {"X-Error-Code": "RepoNotFound"}

    def _revision(self, name: str) -> tuple[int, bytes, dict[str, str]]:
        commit = self.main if name == "main" else name
        if commit not in self.commits:
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        return 200, json.dumps({"id": REPOSITORY, "sha": commit, "siblings": []}).encode(), {}

    def _tree(self, commit: str) -> tuple[int, bytes, dict[str, str]]:
        if commit not in self.commits:
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        files = [
            {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file.read_bytes())}
            for file in sorted(self.commits[commit].iterdir())
        ]
        return 200, json.dumps(files).encode(), {}

    def _file(self, commit: str, name: str) -> tuple[int, bytes, dict[str, str]]:
        file = self.commits[commit] / name
        if not file.is_file():
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        body = file.read_bytes()
        return 200, body, {"ETag": f'"{_etag(body)}"', "X-Repo-Commit": commit}


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(f"{self.command} {path}")
        status, body, headers = self.server.answer(path)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def _etag(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@contextmanager
def running(commits: dict[str, Path], main: str) -> Iterator[StandIn]:
    """Serve until the end of the block; afterwards its address refuses connections."""
    server = StandIn(commits, main)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
