"""What a mistyped name probably meant."""

import re
from collections.abc import Collection
from difflib import get_close_matches

_CLAUSE = re.compile(r"([A-Za-z]{3})[ ._-]?([1-9][0-9]*)")


def as_clause(text: str) -> str:
    """``STO.12`` for ``sto.12``, ``STO12`` or ``sto-12``; any other text as it is."""
    found = _CLAUSE.fullmatch(text.strip())
    return f"{found[1].upper()}.{found[2]}" if found else text


def did_you_mean(given: str, known: Collection[str]) -> str:
    """``; did you mean 'x' or 'y'?``, or nothing when no known name is close."""
    if as_clause(given) in known:
        return f"; did you mean {as_clause(given)!r}?"
    numbers = [int(name[4:]) for name in known if name[:4] == as_clause(given)[:4] and name[4:].isdecimal()]
    if as_clause(given)[4:].isdecimal() and numbers:
        return f"; the last of this area is {given[:3].upper()}.{max(numbers)}"
    by_fold = {name.casefold(): name for name in known}
    close = get_close_matches(as_clause(given).casefold(), by_fold, n=2, cutoff=0.75)
    return f"; did you mean {' or '.join(repr(by_fold[name]) for name in close)}?" if close else ""
