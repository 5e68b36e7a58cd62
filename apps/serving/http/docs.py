"""/docs and /openapi.json. They work without internet and behind a proxy's prefix: the image has Swagger UI's files."""

import copy
import functools
import json
import re
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from apps.serving.http import page
from apps.serving.runtime import runtime_of

PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[\w.~-]+)+", re.ASCII)
MAX_PREFIX = 200


def _package_folder(name: str) -> Path:
    """Return the folder of a package without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return Path(spec.origin).parent


OURS = Path(__file__).parent / "docs_page"
SWAGGER_UI = _package_folder("fastapi_swagger") / "resources"
FILES = {
    "/docs": OURS / "index.html",
    "/docs/start.js": OURS / "start.js",
    "/docs/swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
}
router = APIRouter()
router.routes.extend(page.files_router(FILES).routes)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The OpenAPI document, with the path under which the client sees the service."""
    content = _document(request.app, runtime_of(request).lifecycle.loaded is not None)
    if prefix := _prefix(request):
        content = b'{"servers":%s,' % json.dumps([{"url": prefix}]).encode() + content.removeprefix(b"{")
    return Response(content, media_type="application/json")


@functools.lru_cache(maxsize=2)  # building it costs as much CPU as a dozen predictions
def _document(app: FastAPI, loaded: bool) -> bytes:
    """Return the document; that of a service whose model is `loaded` describes this model."""
    document = app.openapi()
    if loaded:
        runtime = app.state.runtime
        runtime.service.describe(document := copy.deepcopy(document), runtime.lifecycle.loaded)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _prefix(request: Request) -> str:
    """Return the path under which clients see the service: a proxy's X-Forwarded-Prefix, or the ASGI root_path.

    Clients can send the header too, so only a plain path is accepted, which cannot lead to another host.
    """
    forwarded = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    if len(forwarded) <= MAX_PREFIX and PREFIX.fullmatch(forwarded):
        return forwarded
    root_path: str = request.scope.get("root_path", "")
    return root_path.rstrip("/")
