"""What was spent: counters, the ledger's entries by source and model, reports over them, and what two ledgers differ in.

All numbers are tokens.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TypeVar

from lash_ref.errors import LashError
from lash_ref.scalars import I64, U64, Record, Text

K = TypeVar("K", str, tuple[str, str])

OWN_SOURCE = "turn"
"""The source of a session's own model calls."""
CHILD_SOURCE = "child"
"""The source of a child session's calls when its frame names none."""


class TokenUsage(Record):
    """Five token counters."""

    input_tokens: I64 = 0
    output_tokens: I64 = 0
    cache_read_input_tokens: I64 = 0
    cache_write_input_tokens: I64 = 0
    reasoning_output_tokens: I64 = 0

    @property
    def total(self) -> int:
        """What is billed: all but the reasoning tokens, which output tokens include."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_input_tokens
            + self.cache_write_input_tokens
        )

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            cache_write_input_tokens=self.cache_write_input_tokens + other.cache_write_input_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens + other.reasoning_output_tokens,
        )


class TokenLedgerEntry(Record):
    """Tokens spent by one source on one model: a delta on the way in, a sum on the way out."""

    source: Text
    model: Text
    usage: TokenUsage


class PromptUsage(Record):
    """Size of the last prompt, in tokens."""

    prompt_context_tokens: U64
    input_tokens: U64
    cache_read_input_tokens: U64
    cache_write_input_tokens: U64
    context_budget_tokens: U64


class UsageDecreased(LashError):
    """A later report holds less than an earlier one."""

    names = ("source", "model")
    wording = "usage of source {source!r} on model {model!r} went down"


class UsageTotals(Record):
    """Counters with their billed total; reasoning tokens are inside output tokens."""

    usage: TokenUsage = TokenUsage()
    total_tokens: U64 = 0


class SourceUsage(UsageTotals):
    source: Text


class ModelUsage(UsageTotals):
    model: Text


class SourceModelUsage(UsageTotals):
    source: Text
    model: Text


class SessionUsageReport(Record):
    """What a session spent, summed four ways."""

    entry_count: U64 = 0
    usage: TokenUsage = TokenUsage()
    total_tokens: U64 = 0
    by_source: tuple[SourceUsage, ...] = ()
    by_model: tuple[ModelUsage, ...] = ()
    by_source_model: tuple[SourceModelUsage, ...] = ()

    @classmethod
    def from_entries(cls, entries: Sequence[TokenLedgerEntry]) -> "SessionUsageReport":
        """The report over a ledger, its parts sorted by key."""
        pairs = merged_ledger(entries)
        whole = _sum(entry.usage for entry in pairs)
        return cls(
            entry_count=len(pairs),
            usage=whole,
            total_tokens=whole.total,
            by_source=tuple(
                SourceUsage(source=name, usage=spent, total_tokens=spent.total)
                for name, spent in _sums((e.source, e.usage) for e in pairs)
            ),
            by_model=tuple(
                ModelUsage(model=name, usage=spent, total_tokens=spent.total)
                for name, spent in _sums((e.model, e.usage) for e in pairs)
            ),
            by_source_model=tuple(
                SourceModelUsage(
                    source=e.source, model=e.model, usage=e.usage, total_tokens=e.usage.total
                )
                for e in pairs
            ),
        )


def merged_ledger(entries: Iterable[TokenLedgerEntry]) -> tuple[TokenLedgerEntry, ...]:
    """One entry a (source, model), sorted; what bills nothing vanishes."""
    merged: dict[tuple[str, str], TokenLedgerEntry] = {}
    for entry in entries:
        key = (entry.source, entry.model)
        before = merged.get(key)
        merged[key] = entry if before is None else before.but(usage=before.usage + entry.usage)
    return tuple(entry for _, entry in sorted(merged.items()) if entry.usage.total)


def usage_entries_diff(
    before: Sequence[TokenLedgerEntry], after: Sequence[TokenLedgerEntry]
) -> tuple[TokenLedgerEntry, ...]:
    """What was spent between two ledgers, sorted by key, zeros left out.

    Raises:
        UsageDecreased: a counter went down.
    """
    earlier = {(e.source, e.model): e.usage for e in merged_ledger(before)}
    later = {(e.source, e.model): e.usage for e in merged_ledger(after)}
    spent: list[TokenLedgerEntry] = []
    for key in sorted(earlier.keys() | later.keys()):
        source, model = key
        usage = _minus(later.get(key, TokenUsage()), earlier.get(key, TokenUsage()))
        if usage is None:
            raise UsageDecreased(source, model)
        if usage != TokenUsage():
            spent.append(TokenLedgerEntry(source=source, model=model, usage=usage))
    return tuple(spent)


def _sums(usages: Iterable[tuple[K, TokenUsage]]) -> list[tuple[K, TokenUsage]]:
    """What was spent under each key, by key."""
    sums: dict[K, TokenUsage] = {}
    for key, usage in usages:
        sums[key] = sums[key] + usage if key in sums else usage
    return sorted(sums.items(), key=itemgetter(0))


def _sum(usages: Iterable[TokenUsage]) -> TokenUsage:
    whole = TokenUsage()
    for usage in usages:
        whole += usage
    return whole


def _minus(after: TokenUsage, before: TokenUsage) -> TokenUsage | None:
    gone = {name: getattr(after, name) - getattr(before, name) for name in TokenUsage.model_fields}
    return None if min(gone.values()) < 0 else TokenUsage(**gone)
