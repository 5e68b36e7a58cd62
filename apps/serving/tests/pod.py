"""What the chart gives a pod, read from its values: a test that repeats the numbers would not notice new ones."""

from dataclasses import dataclass

import yaml

from apps.serving.tests.processes import ROOT

CHART = ROOT / "charts/inference-service"


@dataclass(frozen=True)
class Pod:
    """What the chart gives a pod, and how long it has to end after SIGTERM."""

    memory: int  # bytes
    cpus: float
    drain: float  # seconds, as all that follow
    request_timeout: float
    slack: float  # of the grace, beyond the two

    @classmethod
    def of(cls, app: str) -> "Pod":
        """As the chart's values say."""
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        values |= yaml.safe_load((CHART / f"values-{app}.yaml").read_text())
        limits, drain, timeout = (values[name] for name in ("resources", "drainSeconds", "requestTimeoutSeconds"))
        slack = values["terminationGracePeriodSeconds"] - values["preStopSleepSeconds"] - drain - timeout
        return cls(int(_number(limits["limits"]["memory"])), _number(limits["limits"]["cpu"]), drain, timeout, slack)

    @property
    def grace(self) -> float:
        """Seconds from SIGTERM to the end."""
        return self.drain + self.request_timeout + self.slack

    @property
    def environment(self) -> dict[str, float]:
        """The same for the service."""
        return {"DRAIN_SECONDS": self.drain, "REQUEST_TIMEOUT_SECONDS": self.request_timeout}


def _number(quantity: object) -> float:
    """What Kubernetes' quantity says, in bytes or CPUs."""
    text = str(quantity)
    units = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}
    (unit,) = [unit for unit in units if text.endswith(unit)] or [""]
    return float(text.removesuffix(unit)) * units.get(unit, 1)
