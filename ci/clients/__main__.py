"""`python -m ci.clients` asks a running service through every client, `python -m ci.clients llm LiteLLM` through some.

With `--write`, their rows of the table in apps/lm/README.md are made anew.
"""

import argparse
import sys
from pathlib import Path

from ci.cache import CHECKOUT
from ci.clients.client import Check, Client
from ci.clients.clients import CLIENTS
from ci.run import Failed

README = CHECKOUT / "apps/lm/README.md"
BEGIN, END = "<!-- clients: start -->\n", "<!-- clients: end -->\n"
HEAD = "| client | packages | works | does not |\n| --- | --- | --- | --- |\n"


def row(client: Client, checks: list[Check]) -> str:
    """Return the row of a client: what works with it, and what does not."""
    worked = ", ".join(check["check"] for check in checks if check["error"] is None)
    failed = ", ".join(check["check"] for check in checks if check["error"])
    return f"| {client.name} | `{' '.join(client.packages)}` | {worked} | {failed or client.note} |\n"


def written(text: str, rows: dict[str, str]) -> str:
    """Return a README with these rows, by the client's name; other clients keep theirs."""
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    lines = table.splitlines(keepends=True)
    kept = {client.name: line for client in CLIENTS for line in lines if line.startswith(f"| {client.name} |")}
    all_rows = kept | rows
    ordered = "".join(all_rows[client.name] for client in CLIENTS if client.name in all_rows)
    return f"{before}{BEGIN}{HEAD}{ordered}{END}{after}"


def main() -> int:
    """Return 1 if a check has failed."""
    parser = argparse.ArgumentParser(prog="python -m ci.clients", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(client.name for client in CLIENTS))
    parser.add_argument("--url", default="http://127.0.0.1:8100")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--tokenizer", type=Path, default=CHECKOUT / "models/smollm2-135m-instruct_v1")
    parser.add_argument("--write", action="store_true", help="write the rows into apps/lm/README.md")
    options = parser.parse_args()
    failures = 0
    for client in CLIENTS:
        if options.clients and client.name not in options.clients:
            continue
        try:
            client.install()
            checks = client.ask(options.url, options.model, options.tokenizer.resolve())
        except Failed as failure:
            failures += 1
            print(f"{client.name}: {failure.problem}", file=sys.stderr)
            continue
        for check in checks:
            failures += check["error"] is not None
            print(f"{client.name}: {check['check']}: {check['error'] or 'ok'}", flush=True)
        if options.write:
            README.write_text(written(README.read_text(), {client.name: row(client, checks)}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
