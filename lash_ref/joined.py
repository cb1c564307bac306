"""A text that deltas spell out, each of them whole text.

A server that cuts texts by UTF-16 units sends the two halves of one character in two deltas, as JSON escapes of lone
surrogates. They are one character again here; a half that stays alone is U+FFFD, as in any decoder ([PRV.68][]).
"""

from lash_ref.untrusted import whole

_REPLACEMENT = "\ufffd"


class Joined:
    """Pieces of one text, in their order."""

    __slots__ = ("_half", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._half = ""

    def add(self, said: str) -> str:
        """Append a delta; what of the text is new and whole, for a first half waits for the other."""
        said = self._half + said
        self._half = said[-1:] if "\ud800" <= said[-1:] <= "\udbff" else ""
        new = whole(said[:-1] if self._half else said)
        if new:
            self.pieces.append(new)
        return new

    def close(self) -> str:
        """No more will come: what is new of the text, for a half that waits is alone."""
        alone, self._half = (_REPLACEMENT if self._half else ""), ""
        if alone:
            self.pieces.append(alone)
        return alone

    def __str__(self) -> str:
        return "".join(self.pieces) + (_REPLACEMENT if self._half else "")

    def __bool__(self) -> bool:
        return bool(self.pieces or self._half)
