"""The service with a batch that fails for sequences of FATAL tokens. Also a program: `python -m …failing`."""

import sys

from apps.lm import loading
from apps.lm.batch import Batch
from apps.lm.member import Member
from apps.lm.service import LanguageModelService
from apps.serving.server import main

FATAL = 13  # tokens of an answer


class Failing(Batch):
    """Fails at `place`: when such a sequence joins, gets a token, has its token collected, or leaves."""

    place = "leave"

    def join(self, member: Member) -> None:
        self._fail("join", member)
        super().join(member)

    def leave(self, member: Member) -> None:
        self._fail("leave", member)
        super().leave(member)

    def step(self) -> list[Member]:
        members = super().step()
        for member in members:
            self._fail("step", member)
        fatal = [member for member in members if member.most == FATAL]
        return [Member((1,), 1)] if fatal and self.place == "collect" else members  # nobody's

    def _fail(self, place: str, member: Member) -> None:
        if place == self.place and member.most == FATAL:
            raise RuntimeError(f"the secret of {place}")


if __name__ == "__main__":
    loading.Batch = Failing
    sys.exit(main(LanguageModelService()))
