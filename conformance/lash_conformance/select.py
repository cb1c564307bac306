"""Which checks a pattern means."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from lash_conformance.catalogue import PROFILES, clauses
from lash_conformance.check import Check, Profile, all_checks
from lash_conformance.nearest import did_you_mean


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


def misspelt(patterns: str, profile: Profile) -> list[str]:
    """A sentence for each pattern that names nothing, so that a typing error never makes a run judge less than was meant."""
    wanted, out = _parted(patterns)
    areas = PROFILES[profile]
    mine = {name for check in all_checks(profile) for name in _names(check)} | {c for c in clauses() if c[:3] in areas}
    unknown = [pattern for pattern in wanted if not _matches(pattern, mine)]
    if not unknown and not out:
        return []
    every = {name for check in all_checks() for name in _names(check)} | clauses().keys()
    other = "host" if profile == "store" else "store"
    known = [*mine, *(f"{area}.*" for area in areas)]
    return [
        f"{pattern!r} is of --profile {other}" if _matches(pattern, every)
        else f"{pattern!r} names no clause or check of --profile {profile}{did_you_mean(pattern, known)}"
        for pattern in unknown
    ] + [
        f"{'!' + pattern!r} leaves nothing out{did_you_mean(pattern, every)}"
        for pattern in out if not _matches(pattern, every)
    ]  # fmt: skip


def _matches(pattern: str, names: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _names(check: Check) -> tuple[str, ...]:
    return (*check.clauses, check.name, check.id, f"kind:{check.kind}")


def _parted(patterns: str) -> tuple[list[str], list[str]]:
    """The patterns that choose, and those that leave out; all is chosen when nothing chooses."""
    given = [p.strip() for p in patterns.split(",")]
    out = [p[1:] for p in given if p.startswith("!")]
    return [p for p in given if not p.startswith("!")] or ["*"], out
