"""Callbacks of the parts of a connection to the connection, which owns them.

Without references in a circle, a connection's memory is free as soon as it is lost: the collector would stop the event
loop for tens of milliseconds to free a thousand of them.
"""

import weakref
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Weak(Generic[P, R]):
    """A bound method that does not keep its object alive; a call after the object's end returns None."""

    __slots__ = ("_function", "_owner")

    def __init__(self, method: Callable[P, R]) -> None:
        self._owner = weakref.ref(method.__self__)  # type: ignore[attr-defined]  # every bound method has both
        self._function = method.__func__  # type: ignore[attr-defined]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R | None:
        owner = self._owner()
        return None if owner is None else self._function(owner, *args, **kwargs)
