"""How sessions, turns and their wiring refuse; all under the one root of `errors`.

LashError
├── EmbedError                        what a host meets
│   ├── WiringError                   the core is built wrongly; never worth a retry
│   │   ├── MissingProtocolPlugin, MissingModelSpec
│   │   ├── MissingEffectHost, MissingAttachmentStore, MissingProcessEnvStore
│   │   ├── DurableStorePeerRequired, DurableProcessRegistryRequiresStoreFactory
│   │   ├── ProcessRegistryRequiresStoreFactory, ProcessExecutionConcurrency
│   │   └── MissingSessionStoreFactory
│   ├── ModeNotInstalled              the session asks for a mode the core lacks
│   ├── StoreFactoryError             a session's store could not be made (code ``StoreFactory``)
│   ├── StoreSessionMismatch          the loaded state is another session's
│   ├── SessionStillInUse             a clone or a turn is alive
│   ├── SessionConsumed               this handle was parked, closed or dropped
│   ├── SessionError                  a session could not be built or kept (code ``Session``)
│   ├── DurableEffectHostRequiresHandlerContext
│   ├── SessionDeleteProcess          a deleted session's processes could not be released
│   └── RuntimeFailure                a turn or queue operation failed (code ``Runtime``), with a runtime code
├── ProviderFailure                   one provider call failed (`provider`)
├── UsageDecreased                    a later report holds less (`usage`)
├── ProcessError                      a process or trigger operation is refused
├── ObservationError                  a cursor cannot be read here
├── EffectDiverged                    a replayed turn asks for another effect than the journal holds
└── StaleBranch                       nodes were to follow one that is no longer on the active path
"""

from enum import StrEnum
from typing import ClassVar

from lash_ref.errors import LashError


class EmbedError(LashError):
    """Root of what a host meets when it builds cores, opens sessions and runs turns."""

    retryable: ClassVar[bool] = False
    terminal: ClassVar[bool] = False

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later: true only for a busy lane and a lost lease."""
        return self.retryable

    @property
    def is_terminal(self) -> bool:
        """Whether no repeat can help, as with wiring."""
        return self.terminal


class WiringError(EmbedError):
    """The core was built wrongly; repeating the build cannot help."""

    terminal = True


class MissingProtocolPlugin(WiringError):
    """No protocol plugin was given."""

    wording = "a core needs a protocol plugin: use standard_builder() or protocol_plugin()"


class MissingModelSpec(WiringError):
    """No model was given."""

    wording = "a core needs a model: call model()"


class MissingEffectHost(WiringError):
    """No effect host was chosen; there is no silent default."""

    wording = "a core needs an effect host: call effect_host()"


class MissingAttachmentStore(WiringError):
    """No attachment store was chosen; there is no silent default."""

    wording = "a core needs an attachment store: call attachment_store()"


class MissingProcessEnvStore(WiringError):
    """No process environment store was chosen; there is no silent default."""

    wording = "a core needs a process environment store: call process_env_store()"


class DurableStorePeerRequired(WiringError):
    """A durable session store stands beside an ephemeral facet."""

    names = ("facet",)
    wording = "a durable session store needs a durable {facet}"


class DurableProcessRegistryRequiresStoreFactory(WiringError):
    """A durable process registry has no durable store factory."""

    wording = "a durable process registry needs a durable session store factory"


class ProcessRegistryRequiresStoreFactory(WiringError):
    """A process registry has no store factory to run sessions on."""

    wording = "a process registry needs a session store factory"


class ProcessExecutionConcurrency(WiringError):
    """The number of processes that may run at once is not positive."""

    names = ("found",)
    wording = "process execution concurrency must be at least 1; found {found}"


class MissingSessionStoreFactory(WiringError):
    """The operation opens or deletes stores and the core has no factory."""

    wording = "this core has no session store factory: call store_factory()"


class ModeNotInstalled(EmbedError):
    """The session asks for a mode that the core does not have."""

    names = ("mode",)
    wording = "mode {mode!r} is not installed in this core"
    terminal = True


class StoreFactoryError(EmbedError):
    """The factory could not make the session's store."""

    names = ("session_id", "message")
    wording = "no store for session {session_id!r}: {message}"
    known_as = "StoreFactory"


class StoreSessionMismatch(EmbedError):
    """The state that was loaded or given belongs to another session."""

    names = ("loaded", "requested")
    wording = "the state is of session {loaded!r}; session {requested!r} was asked for"


class SessionStillInUse(EmbedError):
    """A clone of the handle or a turn holds the session; nothing was changed."""

    names = ("session_id",)
    wording = "session {session_id!r} is still held by a clone or a running turn"


class SessionConsumed(EmbedError):
    """This handle was parked, closed or dropped; open or resume the session for another."""

    names = ("session_id",)
    wording = "this handle of session {session_id!r} was parked, closed or dropped"


class SessionError(EmbedError):
    """A session could not be built, restored or kept (lash's ``SessionError::Protocol``)."""

    names = ("message",)
    wording = "{message}"
    known_as = "Session"


class DurableEffectHostRequiresHandlerContext(EmbedError):
    """A durable effect host runs turns only through a controller of its own: ``turn.effects(...)``."""

    wording = "this effect host runs turns under a controller it gave: call effects(controller)"
    terminal = True


class SessionDeleteProcess(EmbedError):
    """The processes of a session to be deleted could not be released."""

    names = ("session_id", "message")
    wording = "processes of session {session_id!r} could not be released: {message}"


class RuntimeErrorCode(StrEnum):
    """Codes of `RuntimeFailure`; any other text is a code too and is kept as it is."""

    MISSING_EXECUTION_SCOPE_ID = "missing_execution_scope_id"
    EXECUTION_SCOPE_TURN_ID_MISMATCH = "execution_scope_turn_id_mismatch"
    SESSION_EXECUTION_BUSY = "session_execution_busy"
    SESSION_EXECUTION_LEASE_LOST = "session_execution_lease_lost"
    STORE_COMMIT_FAILED = "store_commit_failed"
    PLUGIN_SESSION_MANAGER = "plugin_session_manager"
    PLUGIN_FINALIZE_TURN = "plugin_finalize_turn"
    PLUGIN_CHECKPOINT = "plugin_checkpoint"
    PLUGIN_PREPARE_TURN = "plugin_prepare_turn"
    PLUGIN_PROMPT = "plugin_prompt"
    CONTEXT_PREPARE_TURN = "context_prepare_turn"
    LLM_PROVIDER = "llm_provider"
    LIVE_REPLAY = "live_replay"
    DURABLE_EFFECT_LIVE_PLUGIN_INPUT = "durable_effect_live_plugin_input"
    TURN_CONTROL_UNKNOWN_OR_REVOKED = "turn_control_unknown_or_revoked"
    TURN_STREAM_JOIN = "turn_stream_join"
    AGENT_FRAME_LIMIT = "agent_frame_limit"
    CODE_EXECUTION_UNAVAILABLE = "code_execution_unavailable"
    EXECUTION_STATE_FAILED = "execution_state_failed"


_RETRYABLE = {RuntimeErrorCode.SESSION_EXECUTION_BUSY, RuntimeErrorCode.SESSION_EXECUTION_LEASE_LOST}
_TERMINAL = {
    RuntimeErrorCode.MISSING_EXECUTION_SCOPE_ID,
    RuntimeErrorCode.EXECUTION_SCOPE_TURN_ID_MISMATCH,
    RuntimeErrorCode.DURABLE_EFFECT_LIVE_PLUGIN_INPUT,
    RuntimeErrorCode.LLM_PROVIDER,
}


class RuntimeFailure(EmbedError):
    """A turn or a queue operation failed and committed nothing; `runtime_code` says why."""

    names = ("runtime_code", "message")
    wording = "{runtime_code}: {message}"
    known_as = "Runtime"

    @property
    def runtime_code(self) -> str:
        """A `RuntimeErrorCode`, or any other text a newer runtime says."""
        return str(self.values[0])

    @property
    def is_retryable(self) -> bool:
        """Only a busy lane and a lost lease are."""
        return self.runtime_code in _RETRYABLE

    @property
    def is_terminal(self) -> bool:
        """Whether no repeat can help."""
        return self.runtime_code in _TERMINAL


class ProcessError(LashError):
    """A process or trigger operation is refused."""

    names = ("subject", "reason")
    wording = "{subject}: {reason}"


class ObservationError(LashError):
    """The cursor is malformed or another session's; the replay store was not asked."""

    names = ("cursor", "reason")
    wording = "cursor {cursor!r}: {reason}"


class EffectDiverged(LashError):
    """A replayed turn asks for another effect than its journal holds."""

    names = ("scope_id", "effect_id", "expected", "found")
    wording = "effect {effect_id!r} of {scope_id!r} was recorded as {expected}; the turn asks for {found}"


class StaleBranch(LashError):
    """The node that new nodes were to follow is not on the active path; nothing was written."""

    names = ("session_id", "node_id")
    wording = "node {node_id!r} is not on the active path of session {session_id!r}"
