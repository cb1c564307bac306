"""Tool calls of the Chat dialect, put together from fragments as many servers cut them."""

import json
from typing import Any

from lash_ref.dialect import arguments
from lash_ref.joined import Joined
from lash_ref.untrusted import name, part, piece, words


def says_something(fragment: dict[str, Any]) -> bool:
    """Whether a fragment adds to a call; some servers send an empty one behind the end."""
    function = part(fragment, "function")
    return bool(words(function, "name") or call_arguments(function))


class ChatCall:
    """A tool call as its fragments arrive."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = Joined()

    def grow(self, fragment: dict[str, Any]) -> None:
        function = part(fragment, "function")
        self.id = name(fragment, "id") or self.id
        said = words(function, "name")
        self.name += said if said != self.name else ""
        self.arguments.add(call_arguments(function))

    def begins_another(self, fragment: dict[str, Any]) -> bool:
        """Whether a fragment at this call's index is of another call ([PRV.55][])."""
        named, function = name(fragment, "id") or "", part(fragment, "function")
        said = words(function, "name")
        if not said or named == self.id != "":
            return False
        if named and self.id:
            return True
        repeats = said == self.name and not call_arguments(function)
        return not repeats and arguments(str(self.arguments)) is not None


def call_arguments(function: dict[str, Any]) -> str:
    """Arguments as text; some servers send the object itself ([PRV.78][])."""
    if isinstance(function.get("arguments"), dict):
        given = part(function, "arguments")
        return json.dumps(given, separators=(",", ":"), ensure_ascii=False) if given else ""
    return piece(function, "arguments")
