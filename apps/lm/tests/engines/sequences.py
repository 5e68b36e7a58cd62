"""Makes sequences for the tests of batches."""

from collections.abc import Sequence

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.protocol import GenerationRequest, Sampling


def sequence(prompt: Sequence[int], max_tokens: int, **options) -> BatchSequence:
    """A sequence that has not joined a batch."""
    sampling = Sampling(**options.pop("sampling", {}))
    return BatchSequence(GenerationRequest(prompt, max_tokens, sampling=sampling, **options))
