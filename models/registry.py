"""Reads, verifies and lists models, for training, the services and the chart's init container alike.

An artifact is `models/<name>_<version>.joblib`, `….onnx` or a folder `models/<name>_<version>/`; its manifest is
`models/<name>_<version>.json`. Only the standard library is imported: every image runs this module.
`python -m models.registry verify PATH [--version V] [--sha256 S]` exits with 0 and a JSON line, or with 1 and a line
that says what is wrong.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

from models.artifact import SUFFIXES, artifact_id, digest, manifest_path, read_file, size_bytes
from models.manifest import MAX_BYTES, Manifest, RegistryError, parse, split_id

__all__ = [
    "Manifest",
    "RegistryError",
    "digest",
    "entries",
    "expect",
    "manifest_path",
    "read",
    "size_bytes",
    "split_id",
    "verified_content",
    "verify",
]


def read(artifact: str | Path) -> Manifest:
    """Return the manifest beside `artifact`, without reading the artifact; raise RegistryError."""
    artifact, path = Path(artifact), manifest_path(artifact)
    if not (artifact.is_file() or artifact.is_dir()):
        existing = ", ".join(_ids(artifact.parent)[:12]) or "no models"
        raise RegistryError(
            f"{str(artifact)!r} is neither a file nor a folder. Correct the path: "
            f"{str(artifact.parent)!r} holds {existing}."
        )
    try:
        return parse(read_file(path, MAX_BYTES))
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
    """Return the manifest of `artifact` if its content, `version` and `sha256` agree with the manifest.

    Files are read in chunks. Raises as `expect` does.
    """
    manifest = expect(artifact, version=version, sha256=sha256)
    _require(artifact, manifest, digest(artifact), size_bytes(artifact))
    return manifest


def expect(artifact: str | Path, *, version: str | None = None, sha256: str | None = None) -> Manifest:
    """Return the manifest of `artifact` if it has this `version` and `sha256`, without reading the content.

    None or an empty text is not compared. Raises RegistryError, one line with every mistake.
    """
    manifest = read(artifact)
    mistakes = []
    if version and version != manifest.version:
        mistakes.append(f"its version is {manifest.version!r} and {version!r} is expected (MODEL_VERSION)")
    if sha256 and sha256.lower() != manifest.sha256:
        mistakes.append(f"its sha256 is {manifest.sha256} and {sha256} is expected (MODEL_SHA256)")
    if mistakes:
        raise RegistryError(f"{str(artifact)!r}: {'; '.join(mistakes)}. Correct what is expected or the path.")
    return manifest


def verified_content(artifact: str | Path, manifest: Manifest, most: int) -> bytes:
    """Return the verified content of a file of at most `most` bytes; raise RegistryError.

    The file is read once, so that nobody can change it between its verification and its use.
    """
    try:
        content = read_file(artifact, most)
    except (OSError, ValueError) as error:
        raise RegistryError(f"{str(artifact)!r} cannot be read: {error}.") from error
    _require(artifact, manifest, hashlib.sha256(content).hexdigest(), len(content))
    return content


def _require(artifact: str | Path, manifest: Manifest, sha256: str, size: int) -> None:
    if sha256 != manifest.sha256:
        raise RegistryError(
            f"{str(artifact)!r} was altered or cut: it has sha256 {sha256} and {size} bytes, "
            f"its manifest says {manifest.sha256} and {manifest.size_bytes}. "
            "Copy it again, or publish the version again."
        )


def entries(models_dir: str | Path) -> list[tuple[Path, Manifest | RegistryError]]:
    """Return every artifact in `models_dir` with its manifest, or with the error that reading the manifest raised.

    An artifact without a manifest is listed too, and so is a manifest without an artifact.
    """
    models_dir = Path(models_dir)
    listed: list[tuple[Path, Manifest | RegistryError]] = []
    for version_id in _ids(models_dir):
        files = [models_dir / (version_id + suffix) for suffix in SUFFIXES]
        artifact = next(filter(Path.exists, files), models_dir / version_id)
        try:
            listed.append((artifact, read(artifact)))
        except RegistryError as error:
            listed.append((artifact, error))
    return listed


def _ids(models_dir: Path) -> list[str]:
    paths = [path for path in models_dir.glob("[!.]*_v*") if path.suffix in (*SUFFIXES, ".json") or path.is_dir()]
    return sorted({artifact_id(path).removesuffix(".json") for path in paths})


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.registry", description="Verifies one model.")
    check = parser.add_subparsers(required=True).add_parser("verify", help="compare an artifact with its manifest")
    check.add_argument("path", help="the artifact, a .joblib or .onnx file, or a folder; its manifest lies beside it")
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
