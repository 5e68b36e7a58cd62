"""kubelet's settings suit a node that has the machine's disk, whatever its size, and has it for months."""

import re

import pytest
import yaml

from ci.cluster import layout


@pytest.fixture
def kubelet() -> dict:
    documents = yaml.safe_load_all((layout.MANIFESTS / "kubeadm.yaml").read_text())
    (configuration,) = (document for document in documents if document["kind"] == "KubeletConfiguration")
    return configuration


def test_containers_logs_are_bounded(kubelet):
    assert (kubelet["containerLogMaxSize"], kubelet["containerLogMaxFiles"]) == ("5Mi", 2)


@pytest.mark.parametrize("signal", ["nodefs.available", "imagefs.available"])
def test_pods_are_evicted_by_free_space_and_not_by_a_share_of_the_disk(kubelet, signal):
    amount = re.fullmatch(r"(\d+)Mi", kubelet["evictionHard"][signal])
    assert amount and 200 <= int(amount[1]) <= 1024
