"""The limits of a pod, read from the chart's values, so that tests follow a change of the numbers."""

from dataclasses import dataclass

import yaml

from apps.serving.tests.processes import ROOT

CHART = ROOT / "charts/inference-service"


@dataclass(frozen=True)
class Pod:
    """A pod's resources and its times."""

    memory: int  # bytes
    cpus: float
    drain: float  # seconds, like the following
    request_timeout: float
    slack: float  # rest of the grace period after drain and request timeout

    @classmethod
    def of(cls, app: str) -> "Pod":
        """Read the chart's values for `app`."""
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        values |= yaml.safe_load((CHART / f"values-{app}.yaml").read_text())
        limits, drain, timeout = (values[name] for name in ("resources", "drainSeconds", "requestTimeoutSeconds"))
        slack = values["terminationGracePeriodSeconds"] - values["preStopSleepSeconds"] - drain - timeout
        return cls(int(_number(limits["limits"]["memory"])), _number(limits["limits"]["cpu"]), drain, timeout, slack)

    @property
    def grace(self) -> float:
        """Seconds from SIGTERM to SIGKILL."""
        return self.drain + self.request_timeout + self.slack

    @property
    def environment(self) -> dict[str, float]:
        """The settings of the service that correspond."""
        return {"DRAIN_SECONDS": self.drain, "REQUEST_TIMEOUT_SECONDS": self.request_timeout}


def _number(quantity: object) -> float:
    """Return a Kubernetes quantity in bytes or CPUs."""
    text = str(quantity)
    units = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}
    (unit,) = [unit for unit in units if text.endswith(unit)] or [""]
    return float(text.removesuffix(unit)) * units.get(unit, 1)
