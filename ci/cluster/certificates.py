"""Renews the certificates of Kubernetes, which kubeadm makes for a year. The authorities that sign them last ten.

kubeadm runs on the node's files, so it does not matter whether the node runs, nor whether its certificates still hold.
"""

import json

from ci.cluster import layout
from ci.run import output

RENEWED_DAYS = 90  # before their end
READERS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"]


def end_soon() -> bool:
    """Whether a certificate of the cluster ends within RENEWED_DAYS, or has ended."""
    certificates = json.loads(_kubeadm("certs", "check-expiration", "--output=json"))["certificates"]
    return any(certificate["residualTime"] < RENEWED_DAYS * 86_400 for certificate in certificates)


def renew() -> None:
    """Renews all certificates and kubeconfig files; READERS read them when they start."""
    # `certs renew` leaves out kubelet's, which kubelet renews while it runs; after a year without it, it has ended.
    # The rest comes last: it is what `end_soon` looks at, so an interrupted renewal begins again.
    (layout.NODE / "etc/kubernetes/kubelet.conf").unlink(missing_ok=True)
    _kubeadm("init", "phase", "kubeconfig", "kubelet")
    for path in (layout.NODE / "var/lib/kubelet/pki").glob("kubelet*"):
        path.unlink()  # kubelet makes them again, from kubelet.conf and its own serving certificate
    _kubeadm("certs", "renew", "all")


def _kubeadm(*words: str) -> str:
    command = ["chroot", layout.NODE, "/usr/local/bin/kubeadm", *words, "--config=/etc/kubeadm/kubeadm.yaml"]
    return output(command, timeout=60)
