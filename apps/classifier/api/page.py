"""The page at /: paper to draw a digit on, or for a model of a table a form with a field for each feature."""

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from apps.classifier.model import Classifier
from apps.serving.http import page
from apps.serving.runtime import runtime_of

DRAWING, FORM = (page.paths(Path(__file__).parents[1] / name) for name in ("page", "form"))
INDEX = "/"
ANSWER_DRAWING, ANSWER_FORM = page.responder(DRAWING[INDEX]), page.responder(FORM[INDEX])
router = APIRouter()
router.routes.extend(page.files_router({path: file for path, file in (DRAWING | FORM).items() if path != INDEX}).routes)


@router.get(INDEX, include_in_schema=False)
async def index(request: Request) -> Response:
    """Answer the page for the model; raise Problem 503 before it is loaded."""
    model: Classifier = runtime_of(request).model
    return await (ANSWER_DRAWING if model.table is None else ANSWER_FORM)()
