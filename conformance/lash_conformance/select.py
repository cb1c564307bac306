"""Which checks a pattern means."""

from fnmatch import fnmatchcase

from lash_conformance.check import Check


def selects(patterns: str, check: Check) -> bool:
    """Whether any comma-separated pattern names one of the check's clauses, its name, its id or its kind.

    ``LEA.*`` a chapter, ``STO.12`` a clause, ``STO.12:some_check`` or ``some_check`` one check,
    ``kind:race`` a kind. What a pattern after ``!`` names is left out: ``!kind:crash`` is all but crashes.
    """
    wanted, _ = _parted(patterns)
    return any(fnmatchcase(name, p) for p in wanted for name in _names(check)) and not leaves_out(patterns, check)


def leaves_out(patterns: str, check: Check) -> bool:
    """Whether a pattern after ``!`` names the check."""
    return any(fnmatchcase(name, p) for p in _parted(patterns)[1] for name in _names(check))


def selects_clause(patterns: str, clause: str) -> bool:
    """Whether any comma-separated pattern names the clause."""
    return any(fnmatchcase(clause, p.partition(":")[0]) for p in _parted(patterns)[0])


def _names(check: Check) -> tuple[str, ...]:
    return (*check.clauses, check.name, check.id, f"kind:{check.kind}")


def _parted(patterns: str) -> tuple[list[str], list[str]]:
    """The patterns that choose, and those that leave out; all is chosen when nothing chooses."""
    given = [p.strip() for p in patterns.split(",")]
    out = [p[1:] for p in given if p.startswith("!")]
    return [p for p in given if not p.startswith("!")] or ["*"], out
