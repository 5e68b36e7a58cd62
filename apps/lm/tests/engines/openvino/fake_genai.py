"""Stand-ins for what the batch uses of the packages openvino and openvino_genai, which are not installed with torch."""

from enum import Enum
from types import SimpleNamespace


class GenerationStatus(Enum):
    RUNNING = 0
    FINISHED = 1
    IGNORED = 2
    CANCEL = 3


class Handle:
    """A sequence in the pipeline; its tokens are 100, 101 and so on, after `prefill_steps` steps."""

    def __init__(self, request_id, prompt, configuration) -> None:
        self.request_id, self.prompt, self.configuration = request_id, prompt, configuration
        self.status, self.prefill_steps, self.generated = GenerationStatus.RUNNING, 0, 0
        self.read_error: Exception | None = None
        self._unread: list[int] = []

    def compute(self) -> None:
        if self.status is not GenerationStatus.RUNNING:
            return
        if self.prefill_steps:
            self.prefill_steps -= 1
            return
        if self.configuration.echo and not self.generated:
            self._unread += self.prompt[0]
        self._unread.append(100 + self.generated)
        self.generated += 1
        if self.generated == self.configuration.max_new_tokens or self._unread[-1] in self.configuration.stop_token_ids:
            self.status = GenerationStatus.FINISHED

    def can_read(self) -> bool:
        return bool(self._unread)

    def read(self) -> dict:
        tokens, self._unread = self._unread, []
        if self.read_error:
            raise self.read_error
        logprobs = [-float(token) if self.configuration.logprobs else 0.0 for token in tokens]
        return {0: SimpleNamespace(generated_ids=tokens, generated_log_probs=logprobs)}

    def get_status(self) -> GenerationStatus:
        return self.status

    def cancel(self) -> None:
        self.status = GenerationStatus.CANCEL


class ContinuousBatchingPipeline:
    """Computes one token of each sequence in a step; refuses a temperature above 2, and fails with `step_error`."""

    def __init__(self, folder, scheduler, device, properties) -> None:
        self.folder, self.scheduler, self.device, self.properties = folder, scheduler, device, properties
        self.handles: list[Handle] = []
        self.step_error: Exception | None = None

    def add_request(self, request_id, prompt, configuration) -> Handle:
        if configuration.do_sample and configuration.temperature > 2:
            raise RuntimeError("the temperature is refused")
        self.handles.append(Handle(request_id, prompt, configuration))
        return self.handles[-1]

    def step(self) -> None:
        if self.step_error:
            raise self.step_error
        for handle in self.handles:
            handle.compute()

    def get_metrics(self) -> SimpleNamespace:
        return SimpleNamespace(kv_cache_size_in_bytes=4096 if any(handle.generated for handle in self.handles) else 0)


class Configuration(SimpleNamespace):
    """A GenerationConfig or a SchedulerConfig: attributes that can be set."""


OPENVINO = SimpleNamespace(Tensor=lambda array: array.tolist())
OPENVINO_GENAI = SimpleNamespace(
    ContinuousBatchingPipeline=ContinuousBatchingPipeline,
    GenerationConfig=Configuration,
    GenerationStatus=GenerationStatus,
    SchedulerConfig=Configuration,
)
