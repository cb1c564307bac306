# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Patches that several broken hosts are made of."""

from typing import Any

from lash_ref.provider import LlmResponse


def answer(change: Any) -> Any:
    """A patch of `Reading.response` that changes the finished answer."""

    def make(original: Any) -> Any:
        def response(self: Any, **how: Any) -> LlmResponse:
            return change(self, original(self, **how))

        return response

    return make


def failing(change: Any) -> Any:
    """A patch of a function that makes a `ProviderFailure`, changing it."""

    def make(original: Any) -> Any:
        def failure(*args: Any, **named: Any) -> Any:
            made = original(*args, **named)
            change(made)
            return made

        return failure

    return make
