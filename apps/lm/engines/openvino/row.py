"""A sequence in the batch on OpenVINO: its place in the KV cache, and how its tokens are proposed and chosen."""

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.openvino.chunk import BLOCK, Chunk
from apps.lm.engines.openvino.drawing import drawing
from apps.lm.engines.openvino.logprobs import record
from apps.lm.engines.openvino.lookup import Lookup
from apps.lm.engines.protocol import Logprobs
from apps.lm.engines.sampling import Logits, chooser


class Row:
    """A sequence. `blocks` are those of the KV cache that it has reserved; all of its tokens but the last are in it."""

    def __init__(self, sequence: BatchSequence) -> None:
        self.sequence, self.blocks = sequence, list[int]()
        self._request, self._prompt = sequence.request, sequence.request.prompt
        self._choose, self._lookup = chooser(self._request, drawing), Lookup(self._prompt)
        self._prefilled, self._proposals = 0, list[int]()

    @property
    def block_count(self) -> int:
        """The blocks that prompt and answer take at most."""
        return -(-self._request.total_tokens // BLOCK)

    @property
    def prefilling(self) -> bool:
        """Whether a part of its prompt is not in the cache."""
        return self._prefilled < len(self._prompt)

    @property
    def decoding(self) -> bool:
        """Whether it has a token that is not in the cache."""
        return bool(self.sequence.tokens)

    def prompt_chunk(self, tokens: int) -> Chunk | None:
        """Return the next part of its prompt, of at most `tokens` tokens.

        A part has two tokens or more, unless the prompt has only one: OpenVINO computes a chunk of one token with
        another kernel, and the answer would depend on how the prompt is divided.
        """
        left = len(self._prompt) - self._prefilled
        size = min(tokens, left)
        size -= left - size == 1
        if size < min(2, left):
            return None
        part = self._prompt[self._prefilled : self._prefilled + size]
        return Chunk(part, self._prefilled, self.blocks, size if self._prompt_logprobs else int(size == left))

    def take_prompt(self, chunk: Chunk, logits: Logits) -> None:
        """Record that a part of the prompt is in the cache, with the logits after its last `chunk.keep` tokens."""
        self._prefilled += len(chunk.tokens)
        if self._prompt_logprobs:
            following = self._prompt[chunk.length + 1 : self._prefilled + 1]
            record(self._prompt_logprobs, following, logits[: len(following)])

    def decoding_chunks(self, proposals: int, fewest: int) -> list[Chunk]:
        """Return its last token and at most `proposals` tokens that may come next, each as a chunk.

        See `Lookup.propose`. As a chunk of its own, each is computed with the kernel that computes it
        without proposals, and its logits are the same.
        """
        tokens = self.sequence.tokens
        self._proposals = self._lookup.propose(min(proposals, self._request.max_tokens - len(tokens) - 1), fewest)
        start = len(self._prompt) + len(tokens) - 1
        return [
            Chunk([token], start + index, self.blocks, 1) for index, token in enumerate([tokens[-1], *self._proposals])
        ]

    def choose(self, logits: Logits) -> None:
        """Choose a token from the first of `logits`, (tokens, vocabulary), and one more after each right proposal."""
        proposals, self._proposals = [*self._proposals, None], []
        for token_logits, proposal in zip(logits, proposals, strict=True):
            token = self._choose(token_logits, self.sequence.tokens)
            if self._request.logprobs is not None:
                record(self._request.logprobs, [token], token_logits[None])
            self.sequence.tokens.append(token)
            self._lookup.push(token)
            if self.sequence.finished or token != proposal:
                break

    @property
    def _prompt_logprobs(self) -> Logprobs | None:
        logprobs = self._request.logprobs
        return logprobs if logprobs is not None and logprobs.of_prompt else None
