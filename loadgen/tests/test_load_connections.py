"""kube-proxy balances connections: new pods receive load only if users open new connections."""

import asyncio
import math

import numpy as np
import pytest
from aiohttp import web

from loadgen.cli import CONNECTION_SECONDS, main
from loadgen.mnist import Mnist
from loadgen.observe import Run
from loadgen.run import carry_out
from loadgen.schedule import ClosedLoop
from loadgen.targets import classifier


@pytest.fixture
def users(stub):
    """Run four users against a service that answers after 20 ms."""

    async def handler(request):
        await asyncio.sleep(0.02)
        return web.json_response(stub.prediction)

    def send(connection_seconds, duration_seconds):
        stub.handler = handler
        run = Run("classifier", stub.url, {"duration_seconds": duration_seconds})
        target = classifier(Mnist(np.zeros((1, 784), np.uint8), np.zeros(1, np.uint8)), [0])
        schedule = ClosedLoop(4, duration_seconds)
        asyncio.run(carry_out(run, target, schedule, timeout_seconds=5, connection_seconds=connection_seconds))
        assert run.failed == 0 and len(run.observations) == stub.requests > 30

    return send


def test_without_renewal_each_user_has_one_connection(users, stub):
    users(math.inf, 0.5)
    assert len(stub.connections) == 4


@pytest.mark.slow
def test_connections_are_used_until_their_age_limit_and_not_beyond(users, stub):
    users(0.2, 1.0)
    # Ideally 5 or 6 connections a user, none older than 0.2 s; the bounds leave room for a busy machine.
    assert 4 * 3 <= len(stub.connections) <= 4 * 6
    assert max(last - first for first, last in stub.connections.values()) < 0.6


@pytest.mark.slow
def test_first_renewals_are_spread_over_time(users, stub):
    users(1.6, 2.0)
    began = sorted(first for first, _ in stub.connections.values())
    assert began[4] - began[0] < 1.0  # the first of the four renews after 0.4 s, the last after 1.6 s
    assert began[7] - began[4] > 0.6


def test_command_renews_connections_every_5_seconds(stub, capsys, monkeypatch):
    assert CONNECTION_SECONDS == 5
    monkeypatch.setattr("loadgen.cli.CONNECTION_SECONDS", 0.01)
    command(stub)
    assert len(stub.connections) > 3
    assert "connections renewed every 0.01 s" in capsys.readouterr().out


def test_command_keeps_connections_with_keep_connections(stub, capsys, monkeypatch):
    monkeypatch.setattr("loadgen.cli.CONNECTION_SECONDS", 0.01)
    command(stub, "--keep-connections")
    assert len(stub.connections) == 1
    assert "connections kept" in capsys.readouterr().out


def command(stub, *options):
    stub.interrupts_at = 100
    assert main(["classifier", "--url", stub.url, "--dataset-size", "1", "--concurrency", "1", *options]) == 0
