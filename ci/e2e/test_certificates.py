"""Certificates that end soon are renewed on the running cluster, and the services answer meanwhile."""

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci.cluster import certificates, control_plane, layout, node
from ci.e2e.cluster import URLS, Workspace, client

pytestmark = pytest.mark.full

KUBELET = "var/lib/kubelet/pki/kubelet-client-current.pem"


@pytest.fixture
def expiring(installed: Workspace) -> Workspace:
    """Both releases, on a cluster whose certificates end in ten days."""
    configuration = (layout.NODE / "etc/kubeadm/kubeadm.yaml").read_text()
    short = configuration.replace("networking:", "certificateValidityPeriod: 240h\nnetworking:")
    (layout.NODE / "etc/kubeadm/short.yaml").write_text(short)
    node.inside("kubeadm", "certs", "renew", "all", "--config=/etc/kubeadm/short.yaml")
    assert certificates.end_soon()
    return installed


def kubelets() -> Path:
    """The file of kubelet's client certificate, which has a new name after each renewal."""
    return layout.NODE / (layout.NODE / KUBELET).readlink().relative_to("/")


def days(pem: str) -> int:
    """Days until the end of the first certificate in `pem`."""
    command = ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601"]
    end = subprocess.run(command, input=pem, capture_output=True, text=True, check=True).stdout.strip()
    return (datetime.fromisoformat(end.removeprefix("notAfter=")) - datetime.now(UTC)) // timedelta(days=1)


def restarts(workspace: Workspace) -> dict[str, int]:
    """Restarts of each serving pod."""
    pods = [pod for app in URLS for pod in workspace.pods(app)]
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}


def test_certificates_that_end_soon_are_renewed_and_no_request_fails(expiring: Workspace):
    before, running = kubelets(), restarts(expiring)
    healthz, generate = f"{URLS['classifier']}/healthz", f"{URLS['lm']}/generate"
    with client(healthz, None) as checks, client(generate, {"prompt": "One", "max_new_tokens": 1}) as answers:
        control_plane.up()
    assert {status for (status,) in checks} == {status for (status,) in answers} == {200}
    assert not certificates.end_soon()
    assert kubelets() != before and days(kubelets().read_text()) >= 363
    assert days(ssl.get_server_certificate(("127.0.0.1", layout.API_PORT))) >= 363
    assert restarts(expiring) == running
    expiring.wait("metrics", lambda: expiring.kubectl("top", "pods", check=False).returncode == 0, 120)
