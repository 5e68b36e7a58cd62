"""Reads, verifies and lists models, so that training, services and gate agree on what a model is.

An artifact is `models/<name>_<version>.joblib` or a folder `models/<name>_<version>/`; its manifest is
`models/<name>_<version>.json`. Only the standard library is imported: the gate and every image run this.
`python -m models.registry verify PATH [--version V] [--sha256 S]` exits with 0 and a JSON line, or with 1
and a line that says what is wrong.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from models.artifact import SUFFIX, artifact_id, digest, manifest_path, size_bytes
from models.manifest import Manifest, RegistryError, parse, split_id

__all__ = [
    "Manifest",
    "RegistryError",
    "digest",
    "entries",
    "manifest_path",
    "read",
    "size_bytes",
    "split_id",
    "verify",
]


def read(artifact: str | Path) -> Manifest:
    """Return the manifest beside `artifact`, without looking at the artifact's content."""
    artifact, path = Path(artifact), manifest_path(artifact)
    if not (artifact.is_file() or artifact.is_dir()):
        there = ", ".join(_ids(artifact.parent)[:12]) or "no models"
        raise RegistryError(
            f"{str(artifact)!r} is neither a file nor a folder. Correct the path: "
            f"{str(artifact.parent)!r} holds {there}."
        )
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        problem = "does not exist; every artifact has a manifest beside it"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except ValueError as error:
        problem = f"is not a manifest: {error}"
    raise RegistryError(
        f"{str(path)!r} {problem}. Write it with: python -m training register --force {str(artifact)!r}"
    )


def verify(artifact: str | Path, *, version: str | None = None, sha256: str | None = None) -> Manifest:
    """Return the manifest of `artifact` if its content is what the manifest, `version` and `sha256` say.

    None or an empty `version` or `sha256` leaves it to the manifest. Files are read in chunks.
    Raises RegistryError with one line that holds everything that is wrong.
    """
    manifest = read(artifact)
    mistakes = []
    if version and version != manifest.version:
        mistakes.append(f"its version is {manifest.version!r} and {version!r} is expected (MODEL_VERSION)")
    if sha256 and sha256.lower() != manifest.sha256:
        mistakes.append(f"its sha256 is {manifest.sha256} and {sha256} is expected (MODEL_SHA256)")
    if mistakes:
        raise RegistryError(f"{str(artifact)!r}: {'; '.join(mistakes)}. Correct what is expected or the path.")
    if (found := digest(artifact)) != manifest.sha256:
        raise RegistryError(
            f"{str(artifact)!r} was altered or cut: it has sha256 {found} and {size_bytes(artifact)} bytes, "
            f"its manifest says {manifest.sha256} and {manifest.size_bytes}. "
            "Copy it again, or publish the version again."
        )
    return manifest


def entries(models_dir: str | Path) -> list[tuple[Path, Manifest | RegistryError]]:
    """Return every artifact in `models_dir` with its manifest, or with what is wrong with that.

    A manifest without artifact is listed too, as is an artifact without manifest.
    """
    models_dir, found = Path(models_dir), []
    for version_id in _ids(models_dir):
        file = models_dir / (version_id + SUFFIX)
        artifact = file if file.exists() else models_dir / version_id
        try:
            found.append((artifact, read(artifact)))
        except RegistryError as error:
            found.append((artifact, error))
    return found


def _ids(models_dir: Path) -> list[str]:
    paths = [path for path in models_dir.glob("[!.]*_v*") if path.suffix in (SUFFIX, ".json") or path.is_dir()]
    return sorted({artifact_id(path).removesuffix(".json") for path in paths})


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.registry", description="Checks one model.")
    check = parser.add_subparsers(required=True).add_parser("verify", help="compare an artifact with its manifest")
    check.add_argument("path", help="the artifact, a .joblib file or a folder; its manifest lies beside it")
    check.add_argument("--version", help="the version that the manifest must have (empty: any)")
    check.add_argument("--sha256", help="the digest that it must have (empty: the manifest's)")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        manifest = verify(options.path, version=options.version, sha256=options.sha256)
    except RegistryError as error:
        print(error, file=sys.stderr)
        return 1
    identity = {key: getattr(manifest, key) for key in ("name", "version", "engine", "sha256", "size_bytes")}
    print(json.dumps({"verified": options.path} | identity | {"seconds": round(time.monotonic() - start, 3)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
