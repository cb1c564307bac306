"""Text as a terminal, a page or XML can show it: from a target without control characters, long lines cut, Markdown as HTML."""

import re
from html import escape

# controls but tab and line feed, surrogates, marks that turn the direction of what follows, and what XML has no place for
_HIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def visible(text: str) -> str:
    """The text with an escape for each character that would steer a terminal, not be printed on it."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def shortened(line: str, width: int = 160) -> str:
    """A line of at most ``width`` characters: of a call, both the beginning and the answer are kept."""
    if len(line) <= width:
        return line
    call, arrow, answer = line.rpartition(" -> ")
    if not arrow:
        return f"{line[: width - 1]}…"
    answer = answer if len(answer) <= width // 2 else f"{answer[: width // 2 - 1]}…"
    room = width - len(answer) - len(arrow)
    return f"{call if len(call) <= room else f'{call[: room - 2]}…)'} -> {answer}"


_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)|\[([^\]]+)\]\[\]")


def prose(text: str) -> str:
    """A line of Markdown as HTML: code spans stay, links become their words."""
    words = _LINK.sub(lambda match: match[1] or match[2], text)
    return _CODE.sub(r"<code>\1</code>", escape(words, quote=False))
