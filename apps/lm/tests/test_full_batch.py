"""Budget, CPU limit and deadline of the chart's values fit each other."""

import pytest

from apps.lm.settings import BATCH
from apps.lm.tests import full_batch


@pytest.mark.service
@pytest.mark.full
def test_a_full_batch_of_the_shipped_values_ends_before_its_deadline(shipped):
    batch = full_batch.measure(shipped)
    print(batch)
    assert [answer["usage"]["total_tokens"] for answer in batch.answers] == [batch.budget] * BATCH
    assert not [answer for answer in batch.answers if "stop_reason" in answer["choices"][0]]
