"""Pages: a service's own at /, three files of its folder `page`; none loads anything from anywhere else."""

import functools
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

PATHS = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
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


def router(folder: Path) -> APIRouter:
    """Serve index.html, page.css and page.js of `folder` at /."""
    pages = APIRouter()
    add_files(pages, {path: folder / name for path, name in PATHS.items()})
    return pages


def add_files(app: FastAPI | APIRouter, files: Mapping[str, Path]) -> None:
    """Register each file at its path; it is read when it is first asked for."""
    read = functools.cache(lambda path: files[path].read_bytes())

    async def file(request: Request) -> Response:
        path = request.scope["route"].path
        media_type = TYPES[files[path].name.rpartition(".")[2]]
        return Response(read(path), media_type=media_type, headers=HEADERS)

    for path in files:
        app.add_api_route(path, file, methods=["GET"], include_in_schema=False)
