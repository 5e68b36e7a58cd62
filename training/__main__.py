"""Runs one command of `python -m training`; each command imports only the heavy libraries that it needs."""

import os
import sys
from argparse import Namespace
from dataclasses import fields

from models.manifest import Manifest, RegistryError
from training import listing, options
from training.errors import TrainingError
from training.progress import say

LM_EXTRA = (
    "--extra-index-url URL '.[training-lm]', where URL is PyTorch's index of CPU wheels; "
    "on Linux, PyPI's torch includes several GB of CUDA libraries."
)


def main(words: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 if the command failed, 130 if it was interrupted."""
    arguments = options.parse(words)
    try:
        return COMMANDS[arguments.command](arguments)
    except (TrainingError, RegistryError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        extra = LM_EXTRA if arguments.command == "lm" else "'.[training]'"
        # A library that fails to import one of its own modules gives no name, but its cause.
        missing = f"{error.name} is not installed" if error.name else f"A library cannot be imported ({error})"
        print(f"{missing}. Run: pip install {extra}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Nothing was published.", file=sys.stderr)
        return 130


def _data(arguments: Namespace) -> int:
    from training.mnist import dataset

    digits = dataset.fetch(arguments.data_dir) if arguments.data_dir else dataset.load()
    print(f"{dataset.cache_path()}: {len(digits.images)} images, sha256 {digits.identity()['sha256']}")
    return 0


def _classifier(arguments: Namespace) -> int:
    from training.classifier.train import Options, train

    return _report(train(Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})))


def _lm(arguments: Namespace) -> int:
    for name in ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS"):  # progress bars would fill a log file
        os.environ.setdefault(name, "1")
    from training.lm.export import export

    source, version_id = arguments.source, arguments.version_id
    return _report(export(source, arguments.models_dir, version_id, engine=arguments.engine, force=arguments.force))


def _register(arguments: Namespace) -> int:
    from training.register import register

    names = ("models_dir", "version_id", "sample", "features", "classes", "trust_pickle", "force")
    options = {name: getattr(arguments, name) for name in names}
    return _report(register(arguments.path, **options))


def _list(arguments: Namespace) -> int:
    print(listing.table(arguments.models_dir))
    return 0


def _verify(arguments: Namespace) -> int:
    return 0 if listing.verify(arguments.models_dir) else 1


def _report(manifest: Manifest) -> int:
    say(f"published {manifest.name}_{manifest.version}: {manifest.size_bytes / 1e6:.1f} MB")
    if row_seconds := manifest.metrics.get("row_seconds"):
        say(f"the service takes about {row_seconds * 1000:.2g} ms for a row")
    print(f"{manifest.name} {manifest.version} sha256 {manifest.sha256}")
    return 0


COMMANDS = {
    "data": _data,
    "classifier": _classifier,
    "lm": _lm,
    "register": _register,
    "list": _list,
    "verify": _verify,
}

if __name__ == "__main__":
    sys.exit(main())
