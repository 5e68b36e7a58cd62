"""A process that renders one chat template: the program of whoever published the model.

jinja2's sandbox keeps a template from files and from Python, but not from endless loops, nor from all memory. Here the
kernel does. Run as a script: the first line of its input is the template, each further one its variables; of each it
prints a line, {"text": …} or {"error": …}. It ends without a line where time or memory do, and with its input.
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

MAX_SECONDS = 2  # of computing, for one conversation
MAX_MEMORY_BYTES = 256 * 1024**2
MAX_CHARACTERS = 8 * 1024**2  # of a text


class Generation(Extension):
    """`{% generation %}` marks what the model has written, for its training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Read the block, and leave what is in it."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def environment() -> ImmutableSandboxedEnvironment:
    """As transformers has it."""
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    made.filters["tojson"] = _to_json
    return made


def answer(template: str, variables: dict) -> dict:
    """Render; whatever a template raises is its answer."""
    try:
        text = environment().from_string(template).render(variables)
    except TemplateError as error:
        return {"error": str(error)[:500]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return {"text": text} if len(text) <= MAX_CHARACTERS else {"error": f"it makes {len(text)} characters of them"}


def main() -> None:
    """Answer line after line."""
    limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    template = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        limit(resource.RLIMIT_CPU, int(time.process_time()) + MAX_SECONDS)
        print(json.dumps(answer(template, json.loads(line))), flush=True)


def limit(what: int, most: int) -> None:
    """Let the kernel end this process beyond `most`; not every system can."""
    with suppress(ValueError, OSError):
        resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: Any = False
):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


if __name__ == "__main__":
    main()
