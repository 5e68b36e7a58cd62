"""Locust's FastHttpUser without pauses, as in its documentation."""

import os
from pathlib import Path

from locust import FastHttpUser, constant, task

BODY = Path(os.environ["BODY"]).read_bytes()


class User(FastHttpUser):  # type: ignore[misc]  # locust is installed in an environment of its own
    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]  # as above
    def post(self) -> None:
        self.client.post("/predict", data=BODY, headers={"Content-Type": "application/json"})
