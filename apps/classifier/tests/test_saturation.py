"""While predictions burn CPU and forty clients wait, health probes and scrapes are answered quickly."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from apps.classifier.tests import forests
from apps.serving.tests.processes import Process, running

pytestmark = [pytest.mark.service, pytest.mark.full]
FEATURES = {"features": forests.images(1)[0].tolist(), "scale": 255}
SECONDS, CLIENTS = 12, 40
PATHS = ("/livez", "/readyz", "/healthz", "/metrics")
CGROUPS = Path("/sys/fs/cgroup")


async def saturate(url: str) -> tuple[dict[str, float], set[int]]:
    """Return each path's p99 latency in seconds, and the statuses of the predictions."""
    latencies: dict[str, list[float]] = {path: [] for path in PATHS}
    statuses: set[int] = set()
    until = time.monotonic() + SECONDS

    async def predict() -> None:
        async with httpx.AsyncClient(timeout=60) as session:
            while time.monotonic() < until:
                statuses.add((await session.post(f"{url}/predict", json=FEATURES)).status_code)

    async def probe() -> None:
        async with httpx.AsyncClient(timeout=60) as session:
            while time.monotonic() < until:
                for path in PATHS:
                    begun = time.perf_counter()
                    assert (await session.get(f"{url}{path}")).status_code == 200
                    latencies[path].append(time.perf_counter() - begun)
                await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        group.create_task(probe())
        for _ in range(CLIENTS):
            group.create_task(predict())
    assert min(map(len, latencies.values())) >= 100
    return {path: sorted(times)[int(len(times) * 0.99)] for path, times in latencies.items()}, statuses


@contextmanager
def alone_on_a_core(process: Process) -> Iterator[None]:
    """Give the service one core, and the test the others."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("two cores are needed: one for the service, one for its clients")
    for thread in Path(f"/proc/{process.popen.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {max(cores)})
    os.sched_setaffinity(0, cores - {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def cpu_limit(process: Process, share: float) -> Iterator[None]:
    """Limit the service to `share` of a CPU, as a container's limit does."""
    unified = (CGROUPS / "cgroup.controllers").exists()
    group = CGROUPS / ("" if unified else "cpu") / f"inference-service-test-{process.popen.pid}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"a CPU group cannot be made here, which root may do where cgroups are mounted: {error}")
    quota, period = int(share * 100_000), 100_000
    if unified:
        (group / "cpu.max").write_text(f"{quota} {period}")
    else:
        (group / "cpu.cfs_period_us").write_text(f"{period}")
        (group / "cpu.cfs_quota_us").write_text(f"{quota}")
    (group / "cgroup.procs").write_text(f"{process.popen.pid}")
    try:
        yield
    finally:
        (group.parent / "cgroup.procs").write_text(f"{process.popen.pid}")
        group.rmdir()


def test_on_a_free_core_probes_and_scrapes_take_less_than_50_ms_at_p99(artifact):
    with running("apps.classifier", MODEL_PATH=artifact, ARTIFICIAL_CPU_SEC=0.1) as process, alone_on_a_core(process):
        slowest, statuses = asyncio.run(saturate(process.url))
    assert max(slowest.values()) < 0.05, slowest
    assert statuses == {200}


def test_under_a_limit_of_half_a_cpu_they_take_less_than_250_ms(artifact):
    with running("apps.classifier", MODEL_PATH=artifact, ARTIFICIAL_CPU_SEC=0.1) as process, cpu_limit(process, 0.5):
        slowest, statuses = asyncio.run(saturate(process.url))
        throttled = httpx.get(f"{process.url}/metrics").text
    assert max(slowest.values()) < 0.25, slowest
    assert statuses == {200}
    assert "inference_cpu_cfs_throttled_periods_total" in throttled
