"""Installs both releases with helmfile, and checks that they serve."""

import json
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ci import images
from ci.cache import CHECKOUT
from ci.cluster import control_plane, layout, node_images
from ci.run import Failed, output, run, succeeds

NAMESPACE = "inference"
# Longer than any `--timeout` here or in the README: the helm behind a change that is pending for longer was killed.
ABANDONED = timedelta(hours=1)
PROCESSES = Path("/proc")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would resolve 127.0.0.1 to itself


def apply(environment: Mapping[str, str]) -> None:
    """Runs `helmfile apply`, which changes only the releases whose values, chart or image changed."""
    _end_abandoned_changes(environment)
    run(["helmfile", "apply", "--suppress-diff"], cwd=CHECKOUT, env=environment, timeout=900)


def _end_abandoned_changes(environment: Mapping[str, str]) -> None:
    """Ends pending changes whose helm was killed, because Helm refuses every other change of a pending release.

    Raises Failed if a helm may still be at work.
    """
    list_pending = ["helm", "list", "--pending", "--namespace", NAMESPACE, "--output", "json"]
    list_pending += ["--time-format", "2006-01-02T15:04:05Z07:00"]  # ISO 8601 in Go's notation
    releases = {f"{app}-service" for app in images.APPS}
    pending = [release for release in json.loads(output(list_pending, env=environment)) if release["name"] in releases]
    if busy := [release for release in pending if not _abandoned(release, environment)]:
        raise _busy(busy)
    for release in pending:
        name, revision = release["name"], _last_good_revision(release["name"], environment)
        change = ["uninstall", name] if revision is None else ["rollback", name, revision]
        run(["helm", *change, "--namespace", NAMESPACE], env=environment)


def _last_good_revision(name: str, environment: Mapping[str, str]) -> str | None:
    """The release's newest revision that was installed. Without one, `helm rollback` takes the last, failed or not."""
    history = json.loads(output(["helm", "history", name, "--namespace", NAMESPACE, "-o", "json"], env=environment))
    good = [str(entry["revision"]) for entry in history if entry["status"] in ("deployed", "superseded")]
    return good[-1] if good else None


def _abandoned(release: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    """Whether the helm that began the release's pending change was killed."""
    local = environment.get("KUBECONFIG") == str(layout.KUBECONFIG)  # reachable from this machine only
    return (local and not _helm_runs()) or datetime.now(UTC) - _began(release) > ABANDONED


def _began(release: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(release["updated"]).astimezone(UTC)


def _helm_runs() -> bool:
    """Whether a process of helm or helmfile runs on this machine."""
    for name in PROCESSES.glob("[0-9]*/comm"):
        with suppress(OSError):  # the process has ended meanwhile
            if name.read_text().startswith("helm"):
                return True
    return False


def _busy(releases: list[Mapping[str, str]]) -> Failed:
    changes = [f"{r['name']} ({r['status']} since {_began(r):%F %T} UTC)" for r in releases]
    remedy = (
        f"Wait until `helm list --pending --namespace {NAMESPACE}` is empty, then run this again. If that helm was "
        f"killed, `helm rollback NAME REVISION --namespace {NAMESPACE}` ends its change; REVISION is the last one that "
        "`helm history` shows as deployed or superseded (without one: `helm uninstall NAME`). This command does so "
        "itself once the change is an hour old."
    )
    return Failed(f"another helm may be changing {', '.join(changes)}: nothing was changed", remedy)


def test(environment: Mapping[str, str]) -> None:
    """Runs `helm test` for both releases."""
    for app in images.APPS:
        run(["helm", "test", f"{app}-service", "--namespace", NAMESPACE, "--logs"], env=environment, timeout=300)


def remove(environment: Mapping[str, str]) -> None:
    """Removes the two releases, where they are installed, and nothing else."""
    run(["helm", "list", "--namespace", NAMESPACE], env=environment)  # fails where the cluster does not answer
    for app in images.APPS:
        release = [f"{app}-service", "--namespace", NAMESPACE]
        if succeeds(["helm", "status", *release], env=environment, timeout=60):
            run(["helm", "uninstall", *release, "--wait"], env=environment)


def forget_images() -> None:
    """Removes from the node the images that no ReplicaSet has, so that no rollback can need them."""
    names = control_plane.kubectl("get", "replicasets", "--all-namespaces", "--output=jsonpath={..image}")
    node_images.forget({name if "/" in name else f"docker.io/library/{name}" for name in names.split()})


def answers() -> None:
    """Raises Failed unless both services answer on 127.0.0.1."""
    for app in images.APPS:
        served(app)


def served(app: str) -> dict[str, str]:
    """The identity of the model that the app's service reports."""
    url = f"http://127.0.0.1:{layout.NODE_PORTS[app]}/healthz"
    try:
        with DIRECT.open(url, timeout=10) as answer:
            model: dict[str, str] = json.load(answer)["model"]
            return model
    except OSError as error:
        raise Failed(f"{url}: {error}") from error


def summary() -> str:
    """One line a service: its address, model and image."""
    lines = []
    for app in images.APPS:
        model, url = served(app), f"http://127.0.0.1:{layout.NODE_PORTS[app]}"
        identity = f"{model['name']} {model['version']}, sha256 {model['sha256'][:12]}…"
        lines.append(f"  {url}  {identity}; image {images.sizes(app)}")
    return "\n".join(lines)
