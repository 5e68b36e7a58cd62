"""Downloads a model from the hub into the local cache (HF_HOME), where later starts find it without a network.

Only this module uses the network; models are then loaded from the folder that it returns. If the revision is a commit
and the cache is complete, there is no request. If it is a branch or tag, the hub is asked for its current commit.
"""

import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from apps.serving.identity import LoadError

LOG = logging.getLogger("lm.hub")
CONFIGURATION = ["*.json", "*.model", "*.txt", "*.jinja"]
WEIGHTS = "*.safetensors"  # not pytorch_model.bin, a pickle, which can contain a program
SUBFOLDERS = ["*/*"]  # other formats of the same weights
COMMIT = re.compile("[0-9a-f]{40}")


def fetch(repository: str, revision: str) -> Path:
    """Return the local folder of `repository` at `revision`, named by its commit; raise LoadError."""
    for variable in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(variable, "1")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs each request, with signed URLs
    begun = time.monotonic()
    LOG.info("fetching", extra={"model": repository, "revision": revision})
    folder = _fetch(repository, revision)
    LOG.info("fetched", extra={"commit": folder.name, "seconds": round(time.monotonic() - begun, 3)})
    return folder


def _fetch(repository: str, revision: str) -> Path:
    from huggingface_hub import constants, errors

    description = f"{repository!r} at revision {revision!r}"
    try:
        folder = _download(repository, revision, [*CONFIGURATION, WEIGHTS])
        if list(folder.glob(WEIGHTS)):
            return folder
    except errors.HFValidationError as error:
        raise LoadError(f"MODEL_NAME={repository!r} is neither a folder nor a hub id: {error}") from None
    except errors.RevisionNotFoundError:
        raise LoadError(f"The hub has no {description}. Correct MODEL_REVISION.") from None
    except errors.RepositoryNotFoundError:
        raise LoadError(
            f"The hub at {constants.ENDPOINT} has no {repository!r}, or not for everyone. "
            "Correct MODEL_NAME, or set HF_TOKEN to one that may read it."
        ) from None
    except Exception as error:  # each library has its own errors for a failed connection
        raise LoadError(
            f"{description} is not complete in the cache {constants.HF_HUB_CACHE} and could not be fetched from "
            f"{constants.ENDPOINT} ({_reason(error)}). Check the network, the disk, HF_ENDPOINT and HF_HOME."
        ) from error
    raise LoadError(f"{description} has no {WEIGHTS}. Choose a model with such weights.")


def _download(repository: str, revision: str, patterns: list[str]) -> Path:
    from huggingface_hub import errors, snapshot_download

    def download(*, local_files_only: bool) -> Path:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=patterns,
                ignore_patterns=SUBFOLDERS,
                local_files_only=local_files_only,
            )
        )

    if COMMIT.fullmatch(revision):
        with suppress(errors.LocalEntryNotFoundError):  # missing or incomplete
            return download(local_files_only=True)
    return download(local_files_only=False)


def _reason(error: BaseException) -> str:
    """The first cause in one line, without the paragraphs that the libraries wrap around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
