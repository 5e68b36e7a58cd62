"""Paths, names, addresses and ports of the local cluster. A machine has at most one; all checkouts share it."""

from pathlib import Path

STATE = Path("/var/lib/inference-service")
NODE = STATE / "node"  # the node's root file system; the checkout's path in it begins with /host
KUBECONFIG = STATE / "kubeconfig"
INITIALISED = STATE / "initialised"  # contains the key of the cluster's inputs
MACHINE = STATE / "machine.json"  # the machine's settings before the node changed them

NAME = "inference-node"
GROUP = "inference-service"  # the control group of all processes of the cluster
ADDRESS = "10.244.0.1"  # exists only in the node's network namespace, so it cannot clash with the machine's
API_PORT = 16443
NODE_PORTS = {"classifier": 30080, "lm": 30081, "classifier-test": 30180, "lm-test": 30181}
# Port on 127.0.0.1 -> address in the node to which it is forwarded.
FORWARDED_PORTS = {API_PORT: f"{ADDRESS}:6443", **{port: f"{ADDRESS}:{port}" for port in NODE_PORTS.values()}}

BINARIES = NODE / "usr/local/bin"
MANIFESTS = Path(__file__).parent / "manifests"
