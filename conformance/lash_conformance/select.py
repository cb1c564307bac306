"""Which checks a pattern means."""

from fnmatch import fnmatchcase

from lash_conformance.check import Check


def selects(patterns: str, check: Check) -> bool:
    """Whether any comma-separated pattern names one of the check's clauses, its name, its id or its kind.

    ``LEA.*`` a chapter, ``STO.12`` a clause, ``STO.12:some_check`` or ``some_check`` one check,
    ``kind:race`` a kind.
    """
    names = (*check.clauses, check.name, check.id, f"kind:{check.kind}")
    return any(fnmatchcase(name, p.strip()) for p in patterns.split(",") for name in names)


def selects_clause(patterns: str, clause: str) -> bool:
    """Whether any comma-separated pattern names the clause."""
    return any(fnmatchcase(clause, p.strip().partition(":")[0]) for p in patterns.split(","))
