"""Runs the functions `check_…` of a script, and prints what became of each as a line of JSON."""

import json
import os
import traceback

SERVICE, MODEL = os.environ["SERVICE_URL"], os.environ["MODEL"]
URL = f"{SERVICE}/v1"
QUESTION = "Name a bird."
LONG = "heron " * 2000  # more tokens than any answer may have beside it
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "add", "description": "Add a person.", "parameters": PERSON}}


def run(functions):
    """`functions` are those of the script, by name."""
    for name, function in list(functions.items()):
        if name.startswith("check_"):
            try:
                function()
                error = None
            except Exception:
                error = traceback.format_exc()[-1500:]
            print(json.dumps({"check": name.removeprefix("check_").replace("_", " "), "error": error}), flush=True)


def require_person(value):
    assert set(value) == {"name", "age"} and 0 <= value["age"] <= 150, value
