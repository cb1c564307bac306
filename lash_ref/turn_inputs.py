"""Pending turn input: enqueue, claim, settle, defer, cancel, list."""

from collections.abc import Sequence

from lash_ref.errors import (
    DuplicateInputId,
    PendingTurnInputSourceKeyConflict,
    TurnInputClaimSuperseded,
)
from lash_ref.inputs import (
    INPUT_TRANSITIONS,
    ActiveTurn,
    ActiveTurnMode,
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorMissing,
    AnchorNotFound,
    Cancelled,
    CancelOutcome,
    CancelResult,
    CancelTarget,
    ClaimDiagnostics,
    Claimed,
    InputIdTarget,
    NextTurn,
    NextTurnMode,
    NotFound,
    Outcomes,
    PendingTurnInput,
    PendingTurnInputDraft,
    SuffixCancelOutcome,
    SuffixOutcomes,
    TurnInputApplication,
    TurnInputClaim,
    TurnInputClaimMode,
    TurnInputCompletion,
    TurnInputEvent,
)
from lash_ref.lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from lash_ref.rows import InputRow, Rows
from lash_ref.scalars import admitted, identifier, u64
from lash_ref.segment import Segment, checkpoint_of
from lash_ref.work import CheckpointKind


class InputSegment(Segment):
    """`TurnInputStore` over rows."""

    async def enqueue_pending_turn_input(self, input: PendingTurnInputDraft) -> PendingTurnInput:
        """Enqueue, or answer the input that was submitted with the same key and content."""
        draft = admitted(input)
        async with self.transactions.begin(write=True) as rows:
            if (submitted := await self.submitted_before(rows, draft)) is not None:
                return submitted
            if draft.input_id is not None and await rows.input(draft.session_id, draft.input_id):
                raise DuplicateInputId(draft.session_id, draft.input_id)
            active = isinstance(draft.ingress, ActiveTurn)
            made = PendingTurnInput(
                input_id=self.mint("input") if draft.input_id is None else draft.input_id,
                session_id=draft.session_id,
                enqueue_seq=await rows.next_sequence(),
                source_key=draft.source_key,
                ingress=draft.ingress,
                state="pending_active" if active else "deferred_next_turn",
                enqueued_at_ms=self.clock.now_ms(),
                input=draft.input,
            )
            await rows.put_input(InputRow(input=made, submitted=draft.ingress))
            return made

    async def submitted_before(self, rows: Rows, draft: PendingTurnInputDraft) -> PendingTurnInput | None:
        """The input that the draft's key names, terminal ones included.

        Raises:
            PendingTurnInputSourceKeyConflict: it was submitted with other ingress or content.
        """
        if draft.source_key is None:
            return None
        row = await rows.input_by_key(draft.session_id, draft.source_key)
        if row is None:
            return None
        if (row.submitted, row.input.input) != (draft.ingress, draft.input):
            raise PendingTurnInputSourceKeyConflict(draft.session_id, draft.source_key, row.input.input_id)
        return row.input

    async def list_pending_turn_inputs(self, session_id: str) -> tuple[PendingTurnInput, ...]:
        """Inputs that wait and that no live claim holds."""
        identifier("session_id", session_id)
        async with self.transactions.begin(write=False) as rows:
            live = await self.live_generation(rows, session_id, self.clock.now_ms())
            waiting = await rows.waiting_inputs(session_id)
            return tuple(row.input for row in waiting if not self.input_is_held(row, live))

    async def list_turn_input_applications(self, session_id: str) -> tuple[TurnInputApplication, ...]:
        """What stamped commits made of the session's inputs, in commit order ([INP.40][])."""
        identifier("session_id", session_id)
        async with self.transactions.begin(write=False) as rows:
            results = [stamp.result for stamp in await rows.stamps(session_id)]
        in_order = sorted(results, key=lambda result: result.head_revision)
        return tuple(application for result in in_order for application in result.turn_input_applications)

    def moved(self, row: InputRow, event: TurnInputEvent) -> InputRow:
        """The row after the event, as the table has it."""
        return row.but(input=row.input.but(state=INPUT_TRANSITIONS[row.input.state, event]))

    def input_is_held(self, row: InputRow, live_generation: int | None) -> bool:
        """Whether a live claim holds the row, as seen by someone without a fence."""
        return row.hold is not None and row.hold.generation == live_generation

    # -- cancel

    async def cancel_pending_turn_input(self, session_id: str, input_id: str) -> CancelOutcome:
        """Cancel one input."""
        target = InputIdTarget(value=identifier("input_id", input_id))
        (result,) = await self.cancel_pending_turn_inputs(session_id, (target,))
        return result.outcome

    async def cancel_pending_turn_inputs(
        self, session_id: str, targets: Sequence[CancelTarget]
    ) -> tuple[CancelResult, ...]:
        """Cancel several, one result a target in order, in one unit."""
        identifier("session_id", session_id)
        given = [admitted(target) for target in targets]
        async with self.transactions.begin(write=True) as rows:
            live = await self.live_generation(rows, session_id, self.clock.now_ms())
            results: list[CancelResult] = []
            for target in given:
                row = await self.targeted(rows, session_id, target)
                outcome = NotFound() if row is None else await self.cancel(rows, row, live)
                results.append(CancelResult(target=target, outcome=outcome))
            return tuple(results)

    async def cancel_pending_turn_input_suffix(
        self, session_id: str, anchor: CancelTarget
    ) -> SuffixCancelOutcome:
        """Cancel the anchor and everything enqueued after it, in one unit."""
        identifier("session_id", session_id)
        anchor = admitted(anchor)
        async with self.transactions.begin(write=True) as rows:
            first = await self.targeted(rows, session_id, anchor)
            if first is None:
                return AnchorNotFound(data=AnchorMissing(anchor=anchor))
            live = await self.live_generation(rows, session_id, self.clock.now_ms())
            suffix = await rows.inputs_from(session_id, first.input.enqueue_seq)
            outcomes = [await self.cancel(rows, row, live) for row in suffix]
            return Outcomes(data=SuffixOutcomes(anchor=anchor, outcomes=tuple(outcomes)))

    async def targeted(self, rows: Rows, session_id: str, target: CancelTarget) -> InputRow | None:
        """The row a target names."""
        if isinstance(target, InputIdTarget):
            return await rows.input(session_id, target.value)
        return await rows.input_by_key(session_id, target.value)

    async def cancel(self, rows: Rows, row: InputRow, live_generation: int | None) -> CancelOutcome:
        """Cancel a row if it waits and nobody live holds it; say what it was otherwise."""
        match row.input.state:
            case "cancelled":
                return AlreadyCancelled(data=row.input)
            case "completed":
                return AlreadyCompleted(data=row.input)
            case "accepted":
                return AlreadyClaimed(data=Claimed(input=row.input, claim=self.diagnostics(row)))
            case "pending_active" | "deferred_next_turn":
                if self.input_is_held(row, live_generation):
                    held = Claimed(input=row.input, claim=self.diagnostics(row))
                    return AlreadyClaimed(data=held)
        gone = self.moved(row, "cancel").but(hold=None)
        await rows.put_input(gone)
        return Cancelled(data=gone.input)

    def diagnostics(self, row: InputRow) -> ClaimDiagnostics:
        """Who holds a row."""
        hold = row.hold
        return ClaimDiagnostics(
            state=row.input.state,
            claim_id=hold.claim_id if hold else None,
            claim_owner=hold.owner if hold else None,
            claim_session_lease_generation=hold.generation if hold else None,
            claim_fencing_token=row.claim_number,
        )

    # -- claim

    async def claim_active_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        turn_id: str,
        checkpoint: CheckpointKind,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """Accept the running turn's inputs that the checkpoint admits."""
        identifier("session_id", session_id)
        identifier("turn_id", turn_id)
        checkpoint = checkpoint_of(checkpoint)
        fence, owner = admitted(session_execution_lease), admitted(owner)
        limit = u64("max_inputs", max_inputs)
        if limit == 0:
            return None
        async with self.transactions.begin(write=True) as rows:
            await self.require_live(rows, session_id, fence, self.clock.now_ms())
            waiting = await self.active_candidates(rows, session_id, turn_id, checkpoint, fence.fencing_token)
            mode = ActiveTurnMode(turn_id=turn_id, checkpoint=checkpoint)
            return await self.hold_inputs(rows, waiting[:limit], fence, owner, mode)

    async def claim_next_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """Claim what waits for the next turn."""
        identifier("session_id", session_id)
        fence, owner = admitted(session_execution_lease), admitted(owner)
        limit = u64("max_inputs", max_inputs)
        if limit == 0:
            return None
        async with self.transactions.begin(write=True) as rows:
            await self.require_live(rows, session_id, fence, self.clock.now_ms())
            deferred = [
                row
                for row in await rows.waiting_inputs(session_id)
                if row.input.state == "deferred_next_turn"
                and (row.hold is None or row.hold.generation != fence.fencing_token)
            ]
            return await self.hold_inputs(rows, deferred[:limit], fence, owner, NextTurnMode())

    async def active_candidates(
        self, rows: Rows, session_id: str, turn_id: str, checkpoint: CheckpointKind, generation: int
    ) -> list[InputRow]:
        """Pending inputs of the turn that the checkpoint admits and that generation does not hold."""
        return [
            row
            for row in await rows.waiting_inputs(session_id)
            if row.input.state == "pending_active"
            and isinstance(row.input.ingress, ActiveTurn)
            and row.input.ingress.turn_id == turn_id
            and self.admits(row.input.ingress, checkpoint)
            and (row.hold is None or row.hold.generation != generation)
        ]

    def admits(self, ingress: ActiveTurn, checkpoint: CheckpointKind) -> bool:
        """After-work input is admitted at both checkpoints, the other only before completion."""
        return ingress.min_boundary == "after_work" or checkpoint == "before_completion"

    async def hold_inputs(
        self,
        rows: Rows,
        chosen: Sequence[InputRow],
        fence: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        mode: TurnInputClaimMode,
    ) -> TurnInputClaim | None:
        """Claim the chosen rows, all under one claim."""
        if not chosen:
            return None
        number = max(row.claim_number for row in chosen) + 1
        hold = self.new_hold(owner, fence)
        held = [self.moved(row, "claim").but(hold=hold, claim_number=number) for row in chosen]
        for row in held:
            await rows.put_input(row)
        return TurnInputClaim(
            session_id=fence.session_id,
            claim_id=hold.claim_id,
            owner=owner,
            lease_token=hold.lease_token,
            fencing_token=number,
            session_lease_generation=hold.generation,
            mode=mode,
            inputs=tuple(row.input for row in held),
        )

    # -- settle

    async def completed_inputs(self, rows: Rows, completion: TurnInputCompletion) -> list[InputRow]:
        """The rows a completion settles.

        Raises:
            TurnInputClaimSuperseded: one of them is not held by that claim and token, or the completion
                names another session ([INP.42][]).
        """
        superseded = TurnInputClaimSuperseded(completion.session_id, completion.claim_id)
        if completion.session_id != self.session_id:
            raise superseded
        held: list[InputRow] = []
        for input_id in dict.fromkeys(completion.input_ids):
            row = await rows.input(self.session_id, input_id)
            if row is None or not self.holds(row, completion.claim_id, completion.lease_token):
                raise superseded
            held.append(row)
        return held

    async def complete_input(self, rows: Rows, row: InputRow) -> None:
        """Keep the row as a tombstone that still answers its key."""
        await rows.put_input(self.moved(row, "complete").but(hold=None))

    async def defer_interrupted(self, rows: Rows, turn_id: str) -> None:
        """Move what the interrupted turn never accepted to the next turn; id and order stay."""
        for row in await rows.waiting_inputs(self.session_id):
            ingress = row.input.ingress
            waits = row.input.state == "pending_active" and isinstance(ingress, ActiveTurn)
            if waits and isinstance(ingress, ActiveTurn) and ingress.turn_id == turn_id:
                moved = self.moved(row, "interrupt")
                await rows.put_input(moved.but(input=moved.input.but(ingress=NextTurn())))

    async def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give back the inputs that the claim still holds."""
        await self.abandon_turn_input_claims((claim,))

    async def abandon_turn_input_claims(self, claims: Sequence[TurnInputClaim]) -> None:
        """Abandon each, in one unit."""
        given = [admitted(claim) for claim in claims]
        async with self.transactions.begin(write=True) as rows:
            for claim in given:
                for held in claim.inputs:
                    row = await rows.input(claim.session_id, held.input_id)
                    if row is not None and self.holds(row, claim.claim_id, claim.lease_token):
                        await rows.put_input(self.moved(row, "abandon").but(hold=None))
