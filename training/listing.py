"""Lists the versions in the registry, and verifies each artifact against its manifest."""

from collections.abc import Sequence
from pathlib import Path

from models import registry
from models.manifest import Manifest, RegistryError
from training.progress import step

HEADER = ("VERSION ID", "ENGINE", "MB", "CREATED", "ACCURACY", "SHA256")


def table(models_dir: Path) -> str:
    """Return a table with a row per version, and below it a line for each artifact without a valid manifest.

    Raises RegistryError if `models_dir` is not a folder.
    """
    entries = _entries(models_dir)
    rows = [HEADER] + [_row(manifest) for _, manifest in entries if isinstance(manifest, Manifest)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines + [str(error) for _, error in entries if isinstance(error, RegistryError)])


def verify(models_dir: Path) -> bool:
    """Verify every artifact and print a line for each; return whether all are good.

    Raises RegistryError if `models_dir` is not a folder.
    """
    bad = [artifact.name for artifact, _ in _entries(models_dir) if not _good(artifact)]
    print(f"bad: {', '.join(bad)}" if bad else f"all good in '{models_dir}'")
    return not bad


def _good(artifact: Path) -> bool:
    try:
        with step(f"verifying {artifact}"):
            manifest = registry.verify(artifact)
    except RegistryError as error:
        print(f"BAD   {error}")
        return False
    print(f"good  {artifact} {manifest.sha256}")
    return True


def _entries(models_dir: Path) -> Sequence[tuple[Path, Manifest | RegistryError]]:
    if not models_dir.is_dir():
        raise RegistryError(f"'{models_dir}' is not a folder. Give the registry's folder with --models-dir.")
    return registry.entries(models_dir)


def _row(manifest: Manifest) -> tuple[str, ...]:
    accuracy = manifest.metrics.get("accuracy")
    return (
        f"{manifest.name}_{manifest.version}",
        manifest.engine,
        f"{manifest.size_bytes / 1e6:.1f}",
        manifest.created,
        "-" if accuracy is None else f"{accuracy:.4f}",
        manifest.sha256[:12],
    )
