"""Runs one command of `python -m training`; each command imports the heavy libraries that it needs."""

import os
import sys
from argparse import Namespace

from models.manifest import Manifest, RegistryError
from training import listing, options
from training.errors import TrainingError
from training.progress import say


def data(given: Namespace) -> None:
    """Get MNIST into the cache."""
    from training import mnist

    digits = mnist.fetch(given.data_dir) if given.data_dir else mnist.load()
    print(f"{mnist.cache_path()}: {len(digits.images)} images, sha256 {digits.identity()['sha256']}")


def classifier(given: Namespace) -> None:
    """Train and publish a forest."""
    from training.classifier import Options, train

    _report(train(Options(**{key: value for key, value in vars(given).items() if key != "command"})))


def lm(given: Namespace) -> None:
    """Export and publish a language model."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of the libraries fill a log file with noise
    from training.lm import export

    _report(export(given.source, given.models_dir, given.version_id, engine=given.engine, force=given.force))


def register(given: Namespace) -> None:
    """Describe and publish a model that was trained elsewhere."""
    from training.register import register

    _report(register(given.path, given.models_dir, given.version_id, force=given.force))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, or 1 when the command could not do its work."""
    given = options.parse(arguments)
    try:
        if given.command == "list":
            print(listing.table(given.models_dir))
        elif given.command == "verify":
            return 0 if listing.verify(given.models_dir) else 1
        else:
            {"data": data, "classifier": classifier, "lm": lm, "register": register}[given.command](given)
    except (TrainingError, RegistryError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        extra = "training-lm" if given.command == "lm" else "training"
        print(f"{error.name} is not installed. Run: pip install '.[{extra}]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Nothing was published.", file=sys.stderr)
        return 130
    return 0


def _report(manifest: Manifest) -> None:
    say(f"published {manifest.name}_{manifest.version}: {manifest.size_bytes / 1e6:.1f} MB")
    print(f"{manifest.name} {manifest.version} sha256 {manifest.sha256}")


if __name__ == "__main__":
    sys.exit(main())
