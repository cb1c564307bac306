"""Stores that look into what is opaque."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.scalars import Json


def simplified(value):
    """Fractions that are whole become integers, as in a language with one kind of number."""
    if isinstance(value, dict):
        return {name: simplified(member) for name, member in value.items()}
    if isinstance(value, list):
        return [simplified(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


@mutant("REC.7", character="One kind of number: 1.0 in the options of a turn is 1.")
class SimplifiesOptions(StoreWrapper):
    async def commit_runtime_state(self, commit):
        state = commit.checkpoint.turn_state
        options = state.protocol_turn_options
        plain = options.but(payload=Json(simplified(options.payload.value)))
        checkpoint = commit.checkpoint.but(turn_state=state.but(protocol_turn_options=plain))
        return await self.inner.commit_runtime_state(commit.but(checkpoint=checkpoint))


@mutant("REC.7", character="Thrifty: keeps one of two snapshots that are equal but for the kind of their numbers.")
class KeepsOneOfTwoSnapshots(StoreWrapper):
    async def commit_runtime_state(self, commit):
        part = commit.checkpoint.plugin_snapshot
        if part is not None:
            kept = self.place.memory.setdefault(f"part {Json(simplified(part.value)).text}", part)
            commit = commit.but(checkpoint=commit.checkpoint.but(plugin_snapshot=kept))
        return await self.inner.commit_runtime_state(commit)


@mutant("REC.7", character="Loose: what a key was sent with is compared as its language compares, and 1 equals True.")
class ComparesInputLoosely(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        sent = self.place.memory.setdefault("sent", {})
        stored, value = sent.get(input.source_key, (None, None))
        if stored is not None and value == input.input.to_data():
            return stored
        made = await self.inner.enqueue_pending_turn_input(input)
        sent[input.source_key] = (made, input.input.to_data())
        return made
