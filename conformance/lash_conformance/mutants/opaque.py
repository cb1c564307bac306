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


def rounded(value):
    """Integers are doubles, as in a language with one kind of number."""
    if isinstance(value, dict):
        return {name: rounded(member) for name, member in value.items()}
    if isinstance(value, list):
        return [rounded(member) for member in value]
    return min(int(float(value)), 2**64 - 1) if type(value) is int else value


@mutant("REC.7", character="One kind of number: integers in the nodes of a protocol are doubles.")
class RoundsEvents(StoreWrapper):
    async def commit_runtime_state(self, commit):
        nodes = [node.but(event=Json(rounded(node.event.value))) if node.kind == "event" else node for node in commit.graph.nodes]
        return await self.inner.commit_runtime_state(commit.but(graph=commit.graph.but(nodes=tuple(nodes))))


@mutant("REC.7", character="One kind of number: integers in what a frame assigns are doubles.")
class RoundsAssignments(StoreWrapper):
    async def commit_runtime_state(self, commit):
        frames = []
        for frame in commit.agent_frames:
            options = Json(rounded(frame.assignment.plugin_options.value))
            frames.append(frame.but(assignment=frame.assignment.but(plugin_options=options)))
        return await self.inner.commit_runtime_state(commit.but(agent_frames=tuple(frames)))


@mutant("REC.7", character="Signed: what does not fit into 63 bits of a snapshot wraps around.")
class WrapsSnapshots(StoreWrapper):
    async def commit_runtime_state(self, commit):
        part = commit.checkpoint.plugin_snapshot
        if part is not None:
            part = Json(self.wrapped(part.value))
        return await self.inner.commit_runtime_state(commit.but(checkpoint=commit.checkpoint.but(plugin_snapshot=part)))

    def wrapped(self, value):
        if isinstance(value, dict):
            return {name: self.wrapped(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.wrapped(member) for member in value]
        return value - 2**64 if type(value) is int and value >= 2**63 else value


@mutant("REC.7", character="One kind of number: integers in the options of input are doubles.")
class RoundsInputOptions(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        options = input.input.protocol_turn_options
        if options is not None:
            options = options.but(payload=Json(rounded(options.payload.value)))
        return await self.inner.enqueue_pending_turn_input(input.but(input=input.input.but(protocol_turn_options=options)))
