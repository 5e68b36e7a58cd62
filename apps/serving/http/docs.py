"""/docs and /openapi.json, also without internet and behind a proxy's prefix: Swagger UI's files are in the image."""

import functools
import json
import re
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from apps.serving.http import page

OURS = Path(__file__).parent / "docs_page"
SWAGGER_UI = Path(find_spec("fastapi_swagger").origin).parent / "resources"  # the package itself is not imported
FILES = {
    "/docs": OURS / "index.html",
    "/docs/start.js": OURS / "start.js",
    "/docs/swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
}
PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[\w.~-]+)+", re.ASCII)
MAX_PREFIX = 200


router = APIRouter()
router.routes.extend(page.files_router(FILES).routes)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The OpenAPI document, for the path under which the client sees the service."""
    content = _document(request.app)
    if prefix := _prefix(request):
        content = b'{"servers":%s,' % json.dumps([{"url": prefix}]).encode() + content.removeprefix(b"{")
    return Response(content, media_type="application/json")


@functools.lru_cache(maxsize=1)  # it takes as long as a dozen predictions
def _document(app: FastAPI) -> bytes:
    return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()


def _prefix(request: Request) -> str:
    """The path under which clients see the service: a proxy's X-Forwarded-Prefix, or the ASGI root_path.

    A client may send the header too: only a plain path is taken, which cannot lead to another host.
    """
    forwarded = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    if len(forwarded) <= MAX_PREFIX and PREFIX.fullmatch(forwarded):
        return forwarded
    return request.scope.get("root_path", "").rstrip("/")
