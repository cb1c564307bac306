"""Where the items of a streamed response stand."""

from typing import Any, cast

from lash_ref.chat_calls import call_arguments
from lash_ref.untrusted import parts, words


class Places:
    """Places of items by index and, where that is missing or taken, by id ([PRV.79][]).

    An index that is given and free is believed before an id: some gateways change ids from event to event.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._opened: set[int] = set()
        self._done: set[int] = set()
        self._used: set[int] = set()
        self._last = 0

    def opened(self, index: int | None, item_id: str) -> int:
        """The place of an item that begins, or began before ([PRV.84][])."""
        taken = index in self._opened
        if item_id in self._by_id or (taken and not item_id):
            return self.of(index, item_id)
        place = self._next() if index is None or taken else index
        self._opened.add(place)
        return self._noted(place, item_id)

    def of(self, index: int | None, item_id: str) -> int:
        """The place of the item that an event goes on with: the last one's, where the event does not say."""
        place = self._by_id.get(item_id, index)
        return self._noted(self._last if place is None else place)

    def finished(self, index: int | None, item_id: str) -> int:
        """The place of an item that is whole."""
        known = item_id in self._by_id
        place = self.of(index, item_id)
        if place in self._done and item_id and not known:
            place = self._next()
        self._done.add(place)
        return self._noted(place, item_id)

    def is_done(self, place: int) -> bool:
        """Whether the item there is whole."""
        return place in self._done

    def _next(self) -> int:
        return max(self._used, default=-1) + 1

    def _noted(self, place: int, item_id: str = "") -> int:
        if item_id:
            self._by_id[item_id] = place
        self._used.add(place)
        self._last = place
        return place


def says(item: dict[str, Any]) -> bool:
    """Whether an item holds what it was grown for."""
    match item.get("type"):
        case "message":
            return any(words(piece, "text") or words(piece, "refusal") for piece in pieces(item, "content"))
        case "function_call":
            return bool(call_arguments(item))
        case _:
            return True


def text_of(item: dict[str, Any]) -> str:
    """What a message says."""
    return "".join(words(piece, "text") for piece in pieces(item, "content"))


def pieces(item: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The pieces under ``key``; some servers write a text in their place, or texts."""
    value: Any = item.get(key)
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, list) and all(isinstance(one, str) for one in cast("list[Any]", value)):
        return [{"text": one} for one in cast("list[str]", value)]
    return parts(item, key)


def is_response(body: dict[str, Any]) -> bool:
    """Whether a document is a response, by its kind or by the items it holds."""
    return body.get("object") == "response" or isinstance(body.get("output"), list)
