"""Stores with a column too few, or one that changes what it holds."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper


class Committing(StoreWrapper):
    """Edits a commit on its way in."""

    def edited(self, commit):
        return commit

    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(self.edited(commit))


def to_the_millisecond(time):
    """The time as a column of milliseconds gives it back."""
    head, point, tail = time.partition(".")
    return f"{head}.{tail[:3]}Z" if point else time


@mutant("STO.22", character="A column short: a model's capability has no place.")
class DropsTheCapability(Committing):
    def edited(self, commit):
        return commit.but(config=commit.config.but(model=commit.config.model.but(capability=None)))


@mutant("STO.22", character="Punctual: keeps the time of a frame to the millisecond.")
class RoundsFrameTimes(Committing):
    def edited(self, commit):
        return commit.but(
            agent_frames=tuple(one.but(created_at=to_the_millisecond(one.created_at)) for one in commit.agent_frames)
        )


@mutant("GRA.8", character="Punctual: keeps the time of a node to the millisecond.")
class RoundsNodeTimes(Committing):
    def edited(self, commit):
        nodes = tuple(
            node.but(timestamp=to_the_millisecond(node.timestamp)) for node in getattr(commit.graph, "nodes", ())
        )
        return commit.but(graph=commit.graph.but(nodes=nodes)) if nodes else commit


@mutant("STO.52", character="Unsigned: a counter below zero is zero.")
class CountersAreUnsigned(Committing):
    def edited(self, commit):
        state = commit.checkpoint.turn_state
        usage = state.token_usage.but(input_tokens=max(0, state.token_usage.input_tokens))
        return commit.but(checkpoint=commit.checkpoint.but(turn_state=state.but(token_usage=usage)))


@mutant("QUE.1", character="A column short: who caused a wake has no place.")
class DropsTheCauseOfAWake(StoreWrapper):
    async def enqueue_queued_work(self, batch):
        payloads = tuple(
            payload.but(wake=payload.wake.but(process_caused_by=None)) if payload.type == "process_wake" else payload
            for payload in batch.payloads
        )
        return await self.inner.enqueue_queued_work(batch.but(payloads=payloads))


@mutant("INP.10", character="Truthy: an empty label is no label.")
class EmptyLabelsAreNone(StoreWrapper):
    async def enqueue_pending_turn_input(self, input):
        def edited(item):
            if item.type != "attachment" or item.source.source != "stored":
                return item
            ref = item.source.attachment_ref
            return item.but(source=item.source.but(attachment_ref=ref.but(label=ref.label or None)))

        items = tuple(edited(item) for item in input.input.items)
        return await self.inner.enqueue_pending_turn_input(input.but(input=input.input.but(items=items)))
