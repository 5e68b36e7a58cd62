"""A machine whose programs are scripts that log how they were called."""

from pathlib import Path


class Machine:
    """A folder for PATH with programs that print fixed texts, and a log of every call."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.log = folder / "bin", folder / "calls"
        self.bin.mkdir()
        self.log.touch()

    def program(self, name: str, output: str = "", status: int = 0) -> None:
        self.script(name, f"cat <<'END'\n{output}\nEND\nexit {status}")

    def script(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {self.log}\n{body}\n')
        path.chmod(0o755)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()
