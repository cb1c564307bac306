"""How a turn begins: its input is taken in, plugins have their say, the provider is found, the gate is read."""

from contextlib import suppress

from lash_ref import hooks
from lash_ref.cancel import TurnCancellationEvidence
from lash_ref.claims import wake_message
from lash_ref.errors import LashError, PluginError
from lash_ref.inputs import AttachmentItem, StoredSource
from lash_ref.messages import Message
from lash_ref.outcome import TurnIssue, TurnOutcome
from lash_ref.projection import user_message
from lash_ref.provider import Provider
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure
from lash_ref.scalars import Json
from lash_ref.turn_base import TurnBase
from lash_ref.work import ProtocolTurnOptions


class TurnIntake(TurnBase):
    """The stages before the machine starts."""

    async def _take_in(self) -> TurnIssue | None:
        """Put causes and the user's message into the conversation; why the input is refused, if it is."""
        state = self.runtime.state
        self._append(*(wake_message(wake) for wake in self.request.wakes))
        inputs = self.request.parts or (self.request.input.items,)
        parts = [
            part
            for n, items in enumerate(inputs)
            for part in user_message(f"{self.turn_id}.u{n}", items).parts
        ]
        if parts or not self.request.wakes:
            self._append(Message(id=f"{self.turn_id}.user", role="User", parts=tuple(parts)))
        options = self.request.protocol_turn_options or self.request.input.protocol_turn_options
        if options is not None:
            self.options = merged_options(state.protocol_turn_options, options)
        else:
            self.options = state.protocol_turn_options
        for item in (item for items in inputs for item in items if isinstance(item, AttachmentItem)):
            problem = await self._refused(item)
            if problem is not None:
                return TurnIssue(kind="input_validation", code="attachment_refused", message=problem)
        return None

    async def _refused(self, item: AttachmentItem) -> str | None:
        """Why an attachment cannot be taken in: the host denies it, or its bytes are not this session's."""
        policy = self.runtime.host.core.attachment_policy
        if policy is not None and (denied := await policy(item.source)) is not None:
            return denied
        attachments = self.runtime.services.attachments
        if isinstance(item.source, StoredSource) and attachments is not None:
            try:
                await attachments.get(item.source.attachment_ref.id)
            except LashError as err:
                return str(err)
        return None

    async def _before_turn(self) -> TurnOutcome | None:
        """Context transforms, then the hooks before the turn; how they end it, if they do."""
        plugins = self.runtime.plugins
        try:
            self.overlay = await plugins.prepare_context(self._transform_context, self.overlay)
        except PluginError as err:
            raise RuntimeFailure(RuntimeErrorCode.CONTEXT_PREPARE_TURN, str(err)) from err
        try:
            emitted = await plugins.before_turn(self._turn_context)
            asked = await self._directed("before_turn", emitted)
        except PluginError as err:
            raise RuntimeFailure(RuntimeErrorCode.PLUGIN_PREPARE_TURN, str(err)) from err
        self._append(*self._written(asked.messages, "b"))
        if asked.abort is None:
            return None
        issue = TurnIssue(kind="plugin", code=asked.abort.code, message=asked.abort.message)
        return self._stop("plugin_abort", issue)

    def _transform_context(self) -> hooks.TurnTransformContext:
        state = self.runtime.state
        return hooks.TurnTransformContext(
            self.runtime.session_id,
            state.read_view(),
            self.runtime.plugin_services,
            state.last_prompt_usage,
            state.policy.max_context_tokens,
            self.context,
        )

    def _turn_context(self) -> hooks.TurnHookContext:
        runtime = self.runtime
        return hooks.TurnHookContext(
            runtime.session_id, runtime.state.read_view(), runtime.plugin_services, self.context
        )

    def _resolved_provider(self) -> Provider:
        if self.request.provider is not None:
            return self.request.provider
        named = self.runtime.state.policy.recorded_provider_id()
        resolver = self.runtime.host.core.provider_resolver
        found = resolver.resolve(named) if resolver is not None else None
        if found is None:
            problem = f"no provider {named!r} is configured on this host"
            raise RuntimeFailure(RuntimeErrorCode.LLM_PROVIDER, problem)
        return found

    async def _start_gate(self) -> TurnCancellationEvidence | None:
        """A request that came before the start; fails closed when it cannot be read ([CAN.14][])."""
        for left in (2, 1, 0):
            try:
                return self.gate.peek()
            except RuntimeFailure:
                raise
            except Exception as err:
                if not left:
                    raise RuntimeFailure("turn_control_unavailable", str(err)) from err
                await self.runtime.host.core.sleep(0.05)
        return None

    def _watch(self) -> None:
        """Fire the token once somebody has closed the gate with a request; what cannot be read is told by the gate's end."""
        with suppress(Exception):
            if self.gate.peek() is not None:
                self.token.cancel()

    def _own_attachments(self) -> None:
        if self.runtime.services.attachments is not None:
            self.runtime.services.attachments.owner = ("turn", self.turn_id)


def merged_options(session: ProtocolTurnOptions, turn: ProtocolTurnOptions) -> ProtocolTurnOptions:
    """The turn's options over the session's, key by key ([TRN.17][])."""
    below, above = session.payload.value, turn.payload.value
    if not isinstance(below, dict) or not isinstance(above, dict):
        return turn
    return turn.but(payload=Json({**below, **above}))
