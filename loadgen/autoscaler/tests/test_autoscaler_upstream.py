"""The restatement beside Kubernetes' own controller, built from its source: 5,000 random cases without a difference."""

import json
import subprocess
from dataclasses import replace

import pytest

from ci.tools import extra
from loadgen.autoscaler.tests.upstream import cases, ours, theirs

NUMBER = 5000
SEED = 135


@pytest.mark.full
def test_every_sync_of_random_cases_is_that_of_kubernetes():
    extra.build("autoscaler")
    problems = list(cases(NUMBER, SEED))
    lines = "".join(json.dumps(problem) + "\n" for problem in problems)
    program = extra.folder("autoscaler") / "autoscaler"
    run = subprocess.run([program], input=lines, capture_output=True, text=True, timeout=600, check=True)
    answers = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("[")]
    assert len(answers) == NUMBER
    differences, syncs = [], 0
    proposals: set[int | None] = set()
    for problem, answer in zip(problems, answers, strict=True):
        for number, (expected, result) in enumerate(zip(theirs(answer), ours(problem), strict=True)):
            if result.limited is None:  # the condition of an earlier sync stands
                expected = replace(expected, limited=None)
            if result != expected:
                differences.append({"sync": number, "kubernetes": expected, "ours": result, "case": problem})
            syncs, proposals = syncs + 1, proposals | {expected.proposed}
    assert not differences, f"{len(differences)} of {syncs} syncs differ, the first: {differences[0]}"
    assert syncs > 2 * NUMBER and len(proposals) > 20
