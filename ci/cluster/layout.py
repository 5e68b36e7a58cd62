"""Paths, names, addresses and ports of the local cluster. There is one on a machine; all checkouts share it."""

from pathlib import Path

STATE = Path("/var/lib/inference-service")
NODE = STATE / "node"  # the node's root file system; a checkout is seen in it under /host
KUBECONFIG = STATE / "kubeconfig"
INITIALISED = STATE / "initialised"  # holds the key of what the cluster was made of
MACHINE = STATE / "machine.json"  # the machine's settings before the node changed them

NAME = "inference-node"
GROUP = "inference-service"  # the node's control group: all processes in it are the cluster's
ADDRESS = "10.244.0.1"  # exists only in the node's network namespace, so it cannot clash with the machine's
API_PORT = 16443
NODE_PORTS = {"classifier": 30080, "lm": 30081, "classifier-test": 30180, "lm-test": 30181}
# Port on 127.0.0.1 -> address in the node to which it is forwarded.
DOORS = {API_PORT: f"{ADDRESS}:6443", **{port: f"{ADDRESS}:{port}" for port in NODE_PORTS.values()}}

BINARIES = NODE / "usr/local/bin"
MANIFESTS = Path(__file__).parent / "manifests"
