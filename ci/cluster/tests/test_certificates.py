"""Certificates that end soon are renewed: kubeadm itself, on the files of a node that does not run."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.cluster import certificates, control_plane, layout
from ci.tools import build

KUBE = build.folder("kube") / "kube"
VALID = "certificateValidityPeriod: {hours}h\nnetworking:"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not KUBE.exists() or not shutil.which("openssl"),
        reason="needs root, openssl and the tools of ci/up",
    ),
]


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Makes the root file system of a node whose certificates are valid for some hours."""
    root = tmp_path / "node"
    monkeypatch.setattr(layout, "NODE", root)
    monkeypatch.setattr(layout, "KUBECONFIG", tmp_path / "kubeconfig")
    for folder in ("usr/local/bin", "etc/kubeadm", "var/lib/kubelet/pki"):
        (root / folder).mkdir(parents=True)
    shutil.copy(KUBE, root / "usr/local/bin/kube")
    (root / "usr/local/bin/kubeadm").symlink_to("kube")
    configuration = (layout.MANIFESTS / "kubeadm.yaml").read_text()

    def make(hours: int) -> Path:
        used = root / "etc/kubeadm/kubeadm.yaml"
        used.write_text(configuration.replace("networking:", VALID.format(hours=hours)))
        certificates._kubeadm("init", "phase", "certs", "all")
        certificates._kubeadm("init", "phase", "kubeconfig", "all")
        for name in ("kubelet-client-current.pem", "kubelet.crt", "kubelet.key"):
            (root / "var/lib/kubelet/pki" / name).write_text("old")
        used.write_text(configuration)
        return root

    yield make
    (root / "usr/local/bin/kube").unlink()  # pytest keeps the folders of its last runs


@pytest.mark.parametrize(("hours", "expected"), [(89 * 24, True), (91 * 24, False)])
def test_certificates_end_soon_from_90_days_before_their_end(node, hours, expected):
    node(hours)
    assert certificates.end_soon() is expected


def test_all_certificates_are_renewed_for_a_year_by_the_same_authorities(node):
    root = node(24)
    authorities = {path: path.read_bytes() for path in root.rglob("*ca.crt")}
    assert len(authorities) == 3
    certificates.renew()
    assert not certificates.end_soon()
    assert {path: path.read_bytes() for path in root.rglob("*ca.crt")} == authorities
    pki = root / "etc/kubernetes/pki"
    for path in pki.rglob("*.crt"):
        assert _lasts(path, days=360)
    for name in ("apiserver", "apiserver-kubelet-client"):
        subprocess.run(["openssl", "verify", "-CAfile", pki / "ca.crt", pki / f"{name}.crt"], check=True)


def test_kubelet_gets_a_new_certificate_too_and_forgets_the_old_one(node, tmp_path):
    root = node(24)
    certificates.renew()
    configuration = (root / "etc/kubernetes/kubelet.conf").read_text()
    embedded = re.search(r"client-certificate-data: (\S+)", configuration)
    assert embedded
    (tmp_path / "kubelet.crt").write_bytes(base64.b64decode(embedded[1]))
    assert _lasts(tmp_path / "kubelet.crt", days=360)
    assert list((root / "var/lib/kubelet/pki").iterdir()) == []


def test_kubectls_file_has_the_renewed_certificate(node):
    root = node(24)
    control_plane._write_kubeconfig()
    before = layout.KUBECONFIG.read_text()
    certificates.renew()
    control_plane._write_kubeconfig()
    after = layout.KUBECONFIG.read_text()
    assert before != after and f"server: https://127.0.0.1:{layout.API_PORT}" in after
    (certificate,) = re.findall(r"client-certificate-data: (\S+)", after)
    assert certificate in (root / "etc/kubernetes/admin.conf").read_text()
    assert layout.KUBECONFIG.stat().st_mode & 0o777 == 0o600


def _lasts(certificate: Path, days: int) -> bool:
    check = ["openssl", "x509", "-noout", "-checkend", str(days * 86_400), "-in", str(certificate)]
    return subprocess.run(check, stdout=subprocess.DEVNULL).returncode == 0
