"""Finds the model that MODEL_NAME names, and verifies or fetches it before any library reads it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.lm import hub
from apps.lm.settings import LanguageModelSettings
from apps.serving.identity import Identity, LoadError
from models import artifact, folder, registry

HUB_ENGINE = "transformers"  # of models from the hub, which have no manifest


@dataclass(frozen=True)
class Source:
    """A local folder with a verified or fetched model. From the hub, `sha256` is None and `revision` is a commit.

    `parameters` is the number of weights that its manifest tells. `state` is that of the folder's files before they
    were verified.
    """

    folder: Path
    name: str
    version: str
    sha256: str | None
    engine: str
    parameters: int | None = None
    probes: Sequence[dict[str, Any]] = ()
    state: Sequence[tuple[object, ...]] = ()
    revision: str | None = None

    def identity(self, **facts: object) -> Identity:
        """The identity of the model that is loaded from here; `facts` as in `Identity`."""
        own = {"revision": self.revision, "parameters": self.parameters}
        return Identity(self.name, self.version, self.sha256, self.engine, own | facts)

    def require_unchanged(self) -> None:
        """Raise LoadError if a file has changed since it was verified: the libraries read all files again."""
        if self.state and artifact.state(self.folder) != self.state:
            raise LoadError(f"{str(self.folder)!r} was changed while it was loaded. Start again when it is complete.")


@dataclass(frozen=True)
class ModelFolder:
    """A local folder whose manifest names its engine; nothing else is verified yet."""

    path: Path
    engine: str

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def obtain(self, settings: LanguageModelSettings) -> Source:
        """Verify the folder; raise RegistryError with one line."""
        state = artifact.state(self.path)
        manifest = registry.verify(self.path, version=settings.model_version, sha256=settings.model_sha256)
        folder.check(self.path)
        name, version, engine = manifest.name, manifest.version, manifest.engine
        parameters = manifest.hyperparameters.get("parameters")
        return Source(self.path, name, version, manifest.sha256, engine, parameters, manifest.probes, state)


@dataclass(frozen=True)
class HubModel:
    """A model of the hub, not fetched yet."""

    name: str
    engine: str = HUB_ENGINE

    def obtain(self, settings: LanguageModelSettings) -> Source:
        """Fetch the model; raise LoadError or RegistryError with one line."""
        path = hub.fetch(self.name, settings.model_revision or "main")
        folder.check(path)
        version = settings.model_version or settings.model_revision or path.name
        return Source(path, self.name, version, None, self.engine, revision=path.name)


def locate(settings: LanguageModelSettings) -> ModelFolder | HubModel:
    """Return what MODEL_NAME names. Raise LoadError or RegistryError if it is missing or settings conflict."""
    name = settings.model_name
    path = _path(name)
    if path is None:
        if settings.model_sha256:
            raise LoadError(
                f"MODEL_SHA256 is for model folders, and MODEL_NAME={name!r} is a hub id. "
                "Unset it and pin the commit with MODEL_REVISION."
            )
        return HubModel(name)
    os.environ["HF_HUB_OFFLINE"] = "1"  # transformers reads it when it is imported; a folder never needs the hub
    if settings.model_revision:
        raise LoadError(
            f"MODEL_REVISION={settings.model_revision!r} is for hub ids, and MODEL_NAME={name!r} is a folder. "
            "Unset it; MODEL_VERSION and MODEL_SHA256 say which folder is expected."
        )
    return ModelFolder(path, registry.read(path).engine)


def _path(name: str) -> Path | None:
    """The folder that `name` means, even if it is missing; None for a hub id.

    `models/x` can be either. It is a folder if `models/` exists, so that a mistyped path does not call the hub.
    """
    path = Path(name).expanduser()
    parent_exists = path.parent != Path() and path.parent.is_dir()
    if path.exists() or path.is_absolute() or name.startswith(".") or parent_exists:
        return path
    mounted = Path("/models", name)
    return mounted if mounted.exists() else None
