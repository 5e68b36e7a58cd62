"""Runs in an environment with MLflow's client: `python -m training.mlflow.downloading URI FOLDER`.

Prints what the server tells of the model, or `{"error": …}`, as JSON.
"""

import json
import re
import sys

import mlflow

COMMIT = "mlflow.source.git.commit"
VERSION = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


def download(uri: str, folder: str) -> dict[str, str]:
    """Download the model at `uri` into `folder`; return where it lies, its version id, run and commit.

    Keys that are not known are left out.

    An alias is followed once, so that the version that is told is the one that was downloaded.
    """
    client, told, run_id = mlflow.MlflowClient(), {}, None
    if match := VERSION.fullmatch(uri):
        name = match["name"]
        version = (
            client.get_model_version_by_alias(name, match["alias"])
            if match["alias"]
            else client.get_model_version(name, match["version"])
        )
        uri, run_id = f"models:/{name}/{version.version}", version.run_id
        told["version_id"] = f"{name}_v{version.version}"
    elif uri.startswith("runs:/"):
        run_id = uri.removeprefix("runs:/").partition("/")[0]
    # A run's model lies in a folder of its own name there.
    told["folder"] = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
    if run_id:
        told["run_id"] = run_id
        if commit := client.get_run(run_id).data.tags.get(COMMIT):
            told["git_commit"] = commit
    return told


def main() -> int:
    """Download what the arguments name; return the exit status."""
    try:
        print(json.dumps(download(*sys.argv[1:])))
    except Exception as error:  # of any of its stores
        print(json.dumps({"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
