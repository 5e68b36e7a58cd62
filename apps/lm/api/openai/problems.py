"""Errors as OpenAI's clients expect them: other statuses than elsewhere, and a member `error`."""

from collections.abc import Iterator
from contextlib import contextmanager

from apps.lm.budget import PromptError, PromptTooLong
from apps.lm.engines.protocol import SchemaError
from apps.lm.model import ChatError, LanguageModel
from apps.serving.problems import Problem


class OpenAIProblem(Problem):
    """A problem with OpenAI's `code` for it. `parameter` is the field of the request that is wrong."""

    def __init__(self, status: int, code: str, detail: str, parameter: str) -> None:
        super().__init__(status, detail, errors=[{"pointer": f"#/{parameter}", "detail": detail}])
        self.code = code


def error(problem: Problem) -> dict[str, object]:
    """The member `error` of a problem, for OpenAI's clients."""
    (first, *_) = [*problem.errors, {"pointer": "#"}]
    return {
        "message": problem.detail,
        "type": "server_error" if problem.status >= 500 else "invalid_request_error",
        "param": first["pointer"].removeprefix("#/").replace("/", ".").removeprefix("#") or None,
        "code": getattr(problem, "code", None),
    }


@contextmanager
def openai_statuses(prompt_field: str, format_field: str = "response_format") -> Iterator[None]:
    """Give errors in the block OpenAI's statuses and codes. The fields have the prompt and the form of an answer."""
    try:
        yield
    except PromptError as error:
        code = "context_length_exceeded" if isinstance(error, PromptTooLong) else "invalid_prompt"
        raise OpenAIProblem(400, code, str(error), prompt_field) from None
    except ChatError as error:
        raise OpenAIProblem(400, "invalid_messages", str(error), prompt_field) from None
    except SchemaError as error:
        raise invalid_schema(error, format_field) from None
    except Problem as problem:
        problem.status = 400 if problem.status == 422 else problem.status
        raise


def invalid_schema(error: SchemaError, parameter: str) -> OpenAIProblem:
    """Return a 400 for a schema that answers cannot be held to."""
    detail = f"Invalid schema for {parameter}: {error}."  # LangChain knows these words
    return OpenAIProblem(400, "invalid_schema", detail, parameter)


def unknown_token(model: LanguageModel, token: int, parameter: str) -> OpenAIProblem:
    """Return a 400 for a token id that the model does not have."""
    detail = f"#/{parameter}: has the token {token}; {model.identity.name!r} has 0 to {model.tokenizer.vocabulary - 1}."
    return OpenAIProblem(400, "invalid_token", detail, parameter)


def too_many_logprobs(count: int, limit: int, parameter: str) -> OpenAIProblem:
    """Return a 400 for a request whose answers would report `count` log-probabilities."""
    detail = f"#/{parameter}: asks for up to {count} log-probabilities; ask for up to {limit} in a request."
    return OpenAIProblem(400, "too_many_logprobs", detail, parameter)


def unread_calls(model: LanguageModel) -> OpenAIProblem:
    """Return a 400: the model could call functions in a form that cannot be read from its chat template."""
    detail = (
        f"#/tools: would be called as {model.identity.name!r} chooses, in a form that is not read here; "
        'set tool_choice to the function to call, to "required", or to "none".'
    )
    return OpenAIProblem(400, "unsupported_parameter", detail, "tools")


def calls_or_schema(format_field: str) -> OpenAIProblem:
    """Return a 400: the schema of a text would leave the model no choice to call a function."""
    detail = (
        f"#/{format_field}: would keep the model from calling any of tools; leave it out, "
        'or set tool_choice to the function to call, to "required", or to "none".'
    )
    return OpenAIProblem(400, "unsupported_parameter", detail, format_field)


def no_embeddings(model: LanguageModel) -> OpenAIProblem:
    """Return a 400: the model generates text."""
    detail = f"{model.identity.name!r} generates text and makes no embeddings. Ask a model that is made for them."
    return OpenAIProblem(400, "unsupported_endpoint", detail, "model")


def require(model: LanguageModel, name: str) -> None:
    """Raise a 404 unless `name` is the model's."""
    if name != (actual := model.identity.name):
        detail = f"There is no model {name[:100]!r} here; the one that answers is {actual!r}."
        raise OpenAIProblem(404, "model_not_found", detail, "model")
