"""A client: its packages, and the script that asks the service through it."""

import json
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ci import python
from ci.benchmarks.environments import Environment
from ci.cache import CACHE, key
from ci.run import Failed, run

SCRIPTS = Path(__file__).with_name("scripts")
SECONDS = 300  # for all checks of a client


class Check(TypedDict):
    """What a script has tried; `error` is null if it worked."""

    check: str
    error: str | None


@dataclass(frozen=True)
class Client(ABC):
    """`packages` have their versions. `note` is what the service does not serve to it, and why."""

    name: str
    script: str
    packages: tuple[str, ...]
    note: str = ""

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What runs the script."""

    @abstractmethod
    def install(self) -> None:
        """Make the environment unless it is complete; raise Failed."""

    def ask(self, url: str, model: str, tokenizer: Path) -> list[Check]:
        """Run the script against the service at `url`; `tokenizer` is the folder of its model. Raises Failed."""
        variables = {"SERVICE_URL": url, "MODEL": model, "TOKENIZER": str(tokenizer), "OPENAI_API_KEY": "none"}
        offline = {"NO_PROXY": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        done = subprocess.run(
            self.command, env=os.environ | variables | offline, capture_output=True, text=True, timeout=SECONDS
        )
        checks: list[Check] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"check"')]
        if done.returncode or not checks:
            raise Failed(f"{self.name} ended with {done.returncode}: {done.stderr[-2000:]}", "Run its script alone.")
        return checks


class PythonClient(Client):
    """From PyPI."""

    @property
    def environment(self) -> Environment:
        return Environment(f"client-{Path(self.script).stem}", self.packages)

    @property
    def command(self) -> list[str]:
        return [str(self.environment.python), str(SCRIPTS / self.script)]

    def install(self) -> None:
        """See `Client.install`."""
        self.environment.install()


class NodeClient(Client):
    """From npm."""

    @property
    def folder(self) -> Path:
        return CACHE / "clients" / f"{Path(self.script).stem}-{key(*self.packages)}"

    @property
    def command(self) -> list[str]:
        copied = self.folder / self.script  # Node looks for modules beside the script
        for file in SCRIPTS.glob("*.mjs"):
            shutil.copy(file, self.folder)
        return ["node", str(copied)]

    def install(self) -> None:
        """See `Client.install`."""
        if (self.folder / "complete").exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        options = ["--prefix", self.folder, "--no-audit", "--no-fund"]
        run(["npm", "install", *options, *self.packages], env=python.path_with(python.npm()))
        (self.folder / "complete").touch()
