"""Runs Debian's nginx in front of a service, with the usual configuration for WebSockets and kept connections."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.serving.tests.processes import until

# Where ci/test unpacks Debian's package: installing it would start nginx on port 80.
UNPACKED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "inference-service/nginx/usr/sbin/nginx")
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    upstream service {{ server 127.0.0.1:{upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""


@contextmanager
def nginx(upstream: int, folder: Path, buffering: str) -> Iterator[int]:
    """Yield the port of an nginx in front of port `upstream`; skip the test where Debian's package is not there."""
    program = shutil.which("nginx") or UNPACKED
    if not Path(program).exists():
        pytest.skip("nginx is not there (ci/test unpacks it where Debian's apt-get is)")
    port, temporary = free_port(), "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(**locals()))
    with subprocess.Popen([program, "-e", "stderr", "-p", folder, "-c", configuration]) as popen:
        try:
            until(lambda: listens(port))
            yield port
        finally:
            popen.kill()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def listens(port: int) -> bool:
    """Return whether a process listens on `port`."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
