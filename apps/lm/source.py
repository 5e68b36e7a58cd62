"""Finds the model that MODEL_NAME names, and establishes which one it is before anything of it is loaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.lm import engines, hub
from apps.lm.settings import LanguageModelSettings
from apps.serving.identity import Identity, LoadError
from models import artifact, folder, registry


@dataclass(frozen=True)
class Source:
    """A local folder with a model. `sha256` is None and `revision` a commit where it comes from the hub.

    `state` is that of the folder's files before they were verified.
    """

    folder: Path
    name: str
    version: str
    sha256: str | None
    engine: str = engines.TRANSFORMERS
    probes: Sequence[dict] = ()
    state: Sequence[tuple] = ()
    revision: str | None = None

    def identity(self, **facts: object) -> Identity:
        """Who the model is that is made of it; `facts` as for `Identity`."""
        return Identity(self.name, self.version, self.sha256, self.engine, {"revision": self.revision} | facts)

    def require_unchanged(self) -> None:
        """Raise LoadError if a file is not the one that was verified: the libraries read all of them once more."""
        if self.state and artifact.state(self.folder) != self.state:
            raise LoadError(f"{str(self.folder)!r} was changed while it was loaded. Start again when it is complete.")


def find(settings: LanguageModelSettings) -> Source:
    """Return the verified folder or the fetched hub model; raise LoadError or RegistryError (one line)."""
    place = _folder(settings.model_name)
    found = _fetched(settings) if place is None else _verified(place, settings)
    folder.check(found.folder)
    return found


def _folder(name: str) -> Path | None:
    """The folder that `name` means, also one that is missing; None for a hub id.

    `models/x` may be either: it is a folder where `models/` is one, for a mistyped path shall not become a
    call to the hub.
    """
    path = Path(name).expanduser()
    beside_others = path.parent != Path() and path.parent.is_dir()
    if path.exists() or path.is_absolute() or name.startswith(".") or beside_others:
        return path
    below = Path("/models", name)
    return below if below.exists() else None


def _verified(place: Path, settings: LanguageModelSettings) -> Source:
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported; a folder never needs the hub
    if settings.model_revision:
        raise LoadError(
            f"MODEL_REVISION={settings.model_revision!r} is for hub ids, and "
            f"MODEL_NAME={settings.model_name!r} is a folder. Unset it; "
            "MODEL_VERSION and MODEL_SHA256 say which folder is expected."
        )
    engines.require(engine := registry.read(place).engine, str(place))
    engines.begin(engine)
    state = artifact.state(place)
    manifest = registry.verify(place, version=settings.model_version, sha256=settings.model_sha256)
    return Source(place, manifest.name, manifest.version, manifest.sha256, manifest.engine, manifest.probes, state)


def _fetched(settings: LanguageModelSettings) -> Source:
    name = settings.model_name
    if settings.model_sha256:
        raise LoadError(
            f"MODEL_SHA256 is for model folders, and MODEL_NAME={name!r} is a hub id. "
            "Unset it and pin the commit with MODEL_REVISION."
        )
    engines.require(engines.TRANSFORMERS, name)
    place = hub.fetch(name, settings.model_revision or "main")
    version = settings.model_version or settings.model_revision or place.name
    return Source(place, name, version, None, revision=place.name)
