"""All problems of the machine are reported at once, before anything is changed."""

import os
import socket

import pytest

from ci import preflight
from ci.cluster import layout, node
from ci.run import Failed


def test_a_taken_port_and_a_user_without_root_are_reported_together(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(node, "processes", list)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        monkeypatch.setattr(layout, "FORWARDED_PORTS", {port: "10.244.0.1:80"})
        with pytest.raises(Failed) as failure:
            preflight.check()
    assert f"port {port} of 127.0.0.1 is taken" in failure.value.problem
    assert "the user is 1000; the local cluster needs root" in failure.value.problem


def test_a_full_disk_is_reported_with_the_space_that_is_needed(monkeypatch):
    monkeypatch.setattr(preflight, "DISK_GB", {True: 10**9, False: 10**9})
    monkeypatch.setattr(node, "processes", lambda: [1])
    with pytest.raises(Failed, match="GB free; 1000000000 GB are needed"):
        preflight.check()


def test_ports_of_the_running_local_cluster_are_not_reported(monkeypatch):
    monkeypatch.setattr(node, "processes", lambda: [1])
    assert preflight._ports() == []
