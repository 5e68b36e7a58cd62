"""Where the local cluster lives, and by which doors it is reached. It belongs to the machine, not to a checkout."""

from pathlib import Path

STATE = Path("/var/lib/inference-service")
NODE = STATE / "node"  # the node's root file system; a checkout is seen in it under /host
KUBECONFIG = STATE / "kubeconfig"
INITIALISED = STATE / "initialised"  # holds what the cluster was made by
MACHINE = STATE / "machine.json"  # how to give back what the node changes for the whole machine

NAME = "inference-node"
GROUP = "inference-service"  # the node's control group: whatever runs in it is the cluster's
ADDRESS = "10.244.0.1"  # exists inside the node's network only, so it cannot clash with one of the machine's
API_PORT = 16443
NODE_PORTS = {"classifier": 30080, "lm": 30081, "classifier-test": 30180, "lm-test": 30181}
# Port on 127.0.0.1 -> where it leads inside the node.
DOORS = {API_PORT: f"{ADDRESS}:6443", **{port: f"{ADDRESS}:{port}" for port in NODE_PORTS.values()}}

BINARIES = NODE / "usr/local/bin"
MANIFESTS = Path(__file__).parent / "manifests"
