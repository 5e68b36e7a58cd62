"""The control plane makes or keeps the cluster and its images, and edits kubeadm's manifests."""

import pytest
import yaml

from ci import images
from ci.cluster import certificates, control_plane, layout, node, node_images
from ci.run import Failed

PRINTED = """\
[patches] Reading patches from path "/etc/kubeadm/patches"
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: coredns
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: coredns
        resources:
          requests:
            cpu: 100m
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: coredns
  resourceVersion: "0"
data:
  Corefile: |
    .:53 {
        kubernetes cluster.local in-addr.arpa ip6.arpa {
           pods insecure
        }
        forward . /etc/resolv.conf {
           max_concurrent 1000
        }
        cache 30
        loop
        reload
    }
"""


def test_coredns_forwards_nothing_and_runs_once(monkeypatch):
    monkeypatch.setattr(node, "inside", lambda *_: PRINTED)
    deployment, config = yaml.safe_load_all(control_plane._coredns())
    assert deployment["spec"]["replicas"] == 1
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "10m"
    corefile = config["data"]["Corefile"]
    assert "forward" not in corefile and "max_concurrent" not in corefile and "loop" not in corefile
    assert (
        "kubernetes cluster.local" in corefile and "cache 30" in corefile and corefile.count("{") == corefile.count("}")
    )


@pytest.fixture
def calls(tmp_path, monkeypatch) -> list[str]:
    """The calls of `up` to the node and the images, on a machine without a cluster."""
    calls: list[str] = []
    for name, path in (("STATE", "."), ("NODE", "node"), ("INITIALISED", "initialised")):
        monkeypatch.setattr(layout, name, tmp_path / path)
    monkeypatch.setattr(node, "first_process", lambda: 7 if "boot" in calls else None)
    called = [(node, "end"), (node, "unpack"), (node, "boot"), (node, "restart"), (control_plane, "_images")]
    for module, name in called:
        monkeypatch.setattr(module, name, lambda *_, name=name: calls.append(name))
    monkeypatch.setattr(certificates, "end_soon", lambda: False)
    monkeypatch.setattr(certificates, "renew", lambda: calls.append("renew"))
    monkeypatch.setattr(control_plane, "_write_kubeconfig", lambda: calls.append("kubeconfig"))
    monkeypatch.setattr(control_plane, "_initialise", lambda: calls.append("initialise"))
    monkeypatch.setattr(control_plane, "_wait", lambda: calls.append("wait"))
    return calls


def test_a_first_start_removes_an_incomplete_node_and_initialises(calls):
    (layout.NODE / "half").mkdir(parents=True)
    control_plane.up()
    assert calls == ["end", "unpack", "boot", "_images", "initialise", "wait"] and not layout.NODE.exists()


def test_a_stopped_cluster_is_booted_and_keeps_its_disk(calls):
    layout.INITIALISED.write_text(control_plane.made_by())
    layout.NODE.mkdir()
    control_plane.up()
    assert calls == ["unpack", "boot", "_images", "wait"] and layout.NODE.exists()


@pytest.mark.parametrize(("runs", "boot"), [(True, []), (False, ["unpack", "boot"])])
def test_certificates_that_end_soon_are_renewed_without_an_end_of_the_node(calls, monkeypatch, runs, boot):
    layout.INITIALISED.write_text(control_plane.made_by())
    monkeypatch.setattr(certificates, "end_soon", lambda: True)
    monkeypatch.setattr(node, "first_process", lambda: 7 if runs else None)
    control_plane.up()
    assert calls == ["renew", "kubeconfig", "restart", *boot, "_images", "wait"]


@pytest.mark.parametrize("end_soon", [True, False])
def test_a_cluster_whose_certificates_end_soon_is_not_ready(monkeypatch, end_soon):
    for module, name in ((control_plane, "_made_by_us"), (node, "first_process"), (control_plane, "succeeds")):
        monkeypatch.setattr(module, name, lambda *_, **__: True)
    monkeypatch.setattr(certificates, "end_soon", lambda: end_soon)
    assert control_plane.ready() is not end_soon


def test_a_cluster_of_another_version_is_not_changed_and_the_remedy_is_named(calls):
    layout.INITIALISED.write_text("another")
    with pytest.raises(Failed, match="was made by another version of ci/") as failure:
        control_plane.up()
    assert failure.value.remedy.startswith("`ci/down` removes it") and calls == []


def test_a_node_that_does_not_become_ready_is_rebooted_once(calls, monkeypatch):
    layout.INITIALISED.write_text(control_plane.made_by())

    def wait() -> None:
        calls.append("wait")
        if calls.count("wait") == 1:
            raise Failed("waited 150 s")

    monkeypatch.setattr(control_plane, "_wait", wait)
    control_plane.up()
    assert calls[-3:] == ["wait", "boot", "wait"]


def test_each_name_that_kubeadm_expects_is_an_image_in_the_node(monkeypatch):
    expected = [
        f"registry.k8s.io/{name}" for name in ("kube-apiserver:v1.35.4", "pause:3.10", "coredns/coredns:v1.13.1")
    ]
    loads: list[tuple[str, ...]] = []
    monkeypatch.setattr(node, "inside", lambda *_: "\n".join(expected))
    monkeypatch.setattr(node_images, "loaded", lambda _: True)
    monkeypatch.setattr(images, "base", lambda name: f"localhost/debian-{name}")
    monkeypatch.setattr(node_images, "load", lambda *names: loads.append(names))
    control_plane._images()
    assert loads[0][1:] == tuple(expected[:2])
    assert loads[1] == (expected[2],) and loads[2][0].startswith("localhost/metrics-server:")


def test_the_kube_image_has_a_link_for_each_program(monkeypatch):
    monkeypatch.setattr(images, "base", lambda name: f"localhost/debian-{name}")
    links = [line for line in control_plane._kube_dockerfile().splitlines() if line.startswith("RUN ")]
    assert links[0].count("ln -s kube /usr/local/bin/") == len(control_plane.PROGRAMS)
