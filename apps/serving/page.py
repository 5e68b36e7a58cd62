"""A service's page at /: three files of its folder `page`, which load nothing from anywhere else."""

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

PATHS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def add_routes(app: FastAPI, folder: Path) -> None:
    """Register index.html, page.css and page.js of `folder`, read once."""
    files = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in PATHS.items()}

    async def file(request: Request) -> Response:
        content, kind = files[request.url.path]
        return Response(content, headers=HEADERS | {"content-type": kind})

    for path in files:
        app.add_api_route(path, file, methods=["GET"], include_in_schema=False)
