"""The process that renders one chat template. A template is a program, by whoever published the model.

jinja2's sandbox denies a template access to files and to Python, but does not bound its time and memory; here the
kernel does. This is a script. The first line of its input is the template, each further line has variables. For each of
those it prints a line, {"text": …} or {"error": …}. It ends with its input, or without a line when a limit is reached.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_SECONDS = 2  # CPU time for one conversation
MAX_MEMORY_BYTES = 256 * 1024**2
MAX_CHARACTERS = 8 * 1024**2  # of a rendered conversation


class Generation(Extension):
    """`{% generation %}` marks the model's turns for training. It does not change the text."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Replace the block by its content."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def environment() -> ImmutableSandboxedEnvironment:
    """Return the jinja2 environment that transformers has."""
    result = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    result.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    result.filters["tojson"] = _to_json
    return result


def answer(template: str, variables: dict[str, Any]) -> dict[str, str]:
    """Render a template; any error that it raises becomes the answer."""
    try:
        text = environment().from_string(template).render(variables)
    except TemplateError as error:
        return {"error": str(error)[:500]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return {"text": text} if len(text) <= MAX_CHARACTERS else {"error": f"it makes {len(text)} characters of them"}


def main() -> None:
    """Answer each line of the input."""
    limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    template = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        limit(resource.RLIMIT_CPU, int(time.process_time()) + MAX_SECONDS)
        print(json.dumps(answer(template, json.loads(line))), flush=True)


def limit(resource_id: int, maximum: int) -> None:
    """Let the kernel end this process if it exceeds `maximum`; some systems cannot."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource_id, (maximum, resource.getrlimit(resource_id)[1]))


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


if __name__ == "__main__":
    main()
