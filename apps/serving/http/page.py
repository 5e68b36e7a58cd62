"""Serves pages of static files, which load nothing from other origins; a service's own page is at /."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

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
    """Return a router that serves index.html of `folder` at /, and its style sheets and scripts at their names."""
    return files_router(paths(folder))


def paths(folder: Path) -> dict[str, Path]:
    """Return the path of a page's each file, and the file."""
    others = sorted([*folder.glob("*.css"), *folder.glob("*.js")])
    return {"/": folder / "index.html"} | {f"/{file.name}": file for file in others}


def files_router(files: Mapping[str, Path]) -> APIRouter:
    """Return a router that serves each file at its path. A file is read once, at the first request for it."""
    routes = APIRouter()
    for path, file in files.items():
        routes.add_api_route(path, responder(file), methods=["GET"], include_in_schema=False)
    return routes


def responder(file: Path) -> Callable[[], Awaitable[Response]]:
    """Return an endpoint that answers with a file, which is read once, at the first request for it."""
    media_type = TYPES[file.suffix.removeprefix(".")]
    content = functools.cache(file.read_bytes)

    async def respond() -> Response:
        return Response(content(), media_type=media_type, headers=HEADERS)

    return respond
