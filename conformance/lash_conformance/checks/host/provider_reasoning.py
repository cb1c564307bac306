"""Providers: reasoning is written as the model's capability says, in each dialect's words, or refused before anything is sent."""

from typing import Any

from lash_conformance.check import host_check
from lash_conformance.checks.host.provider_replies import asking, failure, streamed, text
from lash_conformance.fixture import Fixture, Matcher
from lash_conformance.host_bench import HostBench
from lash_conformance.provider_words import WORDS, asked

Data = dict[str, Any]
REFUSED = None
"""The dialect has no words for it."""

CAPABILITIES: dict[str, Data] = {
    "named": {"efforts": ["low"], "encoding": "effort"},
    "counted": {"efforts": ["low"], "encoding": {"budget": {"low": 2048}}},
    "off by an effort": {"efforts": ["low"], "disable": {"effort": "minimal"}},
    "off by a budget": {"efforts": ["low"], "disable": {"budget": 128}},
    "off natively": {"efforts": ["low"], "disable": "native"},
    "off by a toggle": {"efforts": ["low"], "disable": "toggle_false"},
    "off by saying nothing": {"efforts": ["low"], "disable": "omit"},
}
"""A model's reasoning, by how a request for the effort ``low``, or for none, is to be written."""

WRITTEN: dict[str, dict[str, Data | None]] = {
    "anthropic-messages": {
        "named": {"/thinking/type": "adaptive", "/output_config/effort": "low"},
        "counted": {"/thinking/type": "enabled", "/thinking/budget_tokens": 2048},
        "off by an effort": {"/thinking": None, "/output_config/effort": "minimal"},
        "off by a budget": {"/thinking/type": "enabled", "/thinking/budget_tokens": 128},
        "off natively": {"/thinking/type": "disabled", "/output_config": None},
        "off by a toggle": {"/thinking/type": "disabled"},
        "off by saying nothing": {"/thinking": None, "/output_config": None},
    },
    "openai-chat": {
        "named": {"/reasoning_effort": "low"},
        "counted": REFUSED,
        "off by an effort": {"/reasoning_effort": "minimal"},
        "off by a budget": REFUSED,
        "off natively": {"/reasoning_effort": "none"},
        "off by a toggle": REFUSED,
        "off by saying nothing": {"/reasoning_effort": None, "/reasoning": None},
    },
    "openai-responses": {
        "named": {"/reasoning/effort": "low"},
        "counted": REFUSED,
        "off by an effort": {"/reasoning/effort": "minimal", "/reasoning/summary": None},
        "off by a budget": REFUSED,
        "off natively": {"/reasoning/effort": "none"},
        "off by a toggle": REFUSED,
        "off by saying nothing": {"/reasoning": None},
    },
    "gemini": {
        "named": {"/generationConfig/thinkingConfig/thinkingLevel": "low"},
        "counted": {"/generationConfig/thinkingConfig/thinkingBudget": 2048},
        "off by an effort": {"/generationConfig/thinkingConfig/thinkingLevel": "minimal"},
        "off by a budget": {"/generationConfig/thinkingConfig/thinkingBudget": 128},
        "off natively": {"/generationConfig/thinkingConfig/thinkingBudget": 0},
        "off by a toggle": REFUSED,
        "off by saying nothing": {"/generationConfig/thinkingConfig": None},
    },
}
OPENROUTER: dict[str, Data] = {
    "named": {"/reasoning/effort": "low"},
    "counted": {"/reasoning/max_tokens": 2048},
    "off by an effort": {"/reasoning/effort": "minimal"},
    "off by a toggle": {"/reasoning/enabled": False},
    "off by a budget": {"/reasoning/max_tokens": 128},
}
"""A Chat route whose options say that it takes reasoning as OpenRouter does."""


def wanting(dialect: str, how: str, written: Data | None, **options: Any) -> Fixture:
    """A call that asks for the effort, or for none, and must be written so; a refused one sends nothing."""
    variant: Any = "disabled" if how.startswith("off") else {"effort": "low"}
    made = capable(dialect, {"reasoning": CAPABILITIES[how]}, variant, sends=written is not None, **options)
    body = {
        pointer: Matcher(present=False) if value is None else Matcher(equals=value)
        for pointer, value in (written or {}).items()
    }
    exchanges = [
        one.model_copy(update={"request": one.request.model_copy(update={"body": body})}) for one in made.exchanges
    ]
    return made.model_copy(update={"exchanges": exchanges})


def capable(dialect: str, capability: Data, variant: Any, *, sends: bool = False, **options: Any) -> Fixture:
    """A call with that choice of reasoning on a model of that capability."""
    made = asked(dialect, *([streamed(WORDS[dialect].said("Hi."))] if sends else []), **options)
    call = made.calls[0].model_copy(update={"request": made.calls[0].request | {"model_variant": variant}})
    host = made.host.model_copy(update={"capability": capability})
    return made.model_copy(update={"calls": [call], "host": host})


@host_check("PRV.60", "PRV.59", needs=("providers",))
async def reasoning_is_written_as_the_capability_says(bench: HostBench) -> None:
    """Every encoding of an effort and every way to switch reasoning off, in each dialect; what has no words is refused."""
    async with asking(bench) as ask:
        for dialect, written in WRITTEN.items():
            for how, wanted in written.items():
                found = await ask(wanting(dialect, how, wanted))
                if wanted is REFUSED:
                    assert failure(found)[0] == "unsupported"
                else:
                    assert text(found) == "Hi."
        for how, wanted in OPENROUTER.items():
            found = await ask(wanting("openai-chat", how, wanted, reasoning_encoder="openrouter"))
            assert text(found) == "Hi."


SHOWN: dict[str, dict[bool, Data]] = {
    "anthropic-messages": {False: {"/thinking/display": "omitted"}, True: {"/thinking/display": "summarized"}},
    "openai-responses": {False: {"/reasoning/summary": None}, True: {"/reasoning/summary": "auto"}},
    "gemini": {
        False: {"/generationConfig/thinkingConfig/includeThoughts": None},
        True: {"/generationConfig/thinkingConfig/includeThoughts": True},
    },
}
"""How a request says whether the host wants to see reasoning."""


@host_check("PRV.89", needs=("providers",))
async def reasoning_is_asked_for_only_where_it_is_to_be_shown(bench: HostBench) -> None:
    """An effort by name, on a route that shows reasoning and on one that does not."""
    async with asking(bench) as ask:
        for dialect, wanted in SHOWN.items():
            for exposed, written in wanted.items():
                assert text(await ask(wanting(dialect, "named", written, expose_thinking=exposed))) == "Hi."


UNUSABLE: dict[str, tuple[Data, Any]] = {
    "unsupported_effort": ({"reasoning": {"efforts": ["low"]}}, {"effort": "extreme"}),
    "effort_not_configurable": ({}, {"effort": "low"}),
    "effort_required": ({"reasoning": {"efforts": ["low"], "mandatory": True}}, "provider_default"),
    "malformed_capability": ({"reasoning": {"efforts": ["low"], "encoding": {"budget": {"high": 9}}}}, {"effort": "low"}),
}


@host_check("PRV.58", needs=("providers",))
async def a_choice_that_a_model_does_not_offer_is_refused_unsent(bench: HostBench) -> None:
    """By its code, in every dialect; also a choice or a capability that is none at all."""
    async with asking(bench) as ask:
        for dialect in WORDS:
            for code, (capability, variant) in UNUSABLE.items():
                assert failure(await ask(capable(dialect, capability, variant)))[:2] == ("validation", code)
            low = {"reasoning": {"efforts": ["low"]}}
            for capability, variant in ((low, "off"), (low, {"effort": 3}), (low, {"budget": 1}), ({"reasoning": 3}, "disabled")):
                assert failure(await ask(capable(dialect, capability, variant)))[0] == "validation"
            aliased = {"reasoning": {"efforts": ["low"], "aliases": {"small": "low"}}}
            for variant in ({"effort": " LOW "}, {"effort": "Small"}, "provider_default"):
                assert text(await ask(capable(dialect, aliased, variant, sends=True))) == "Hi."
