"""How a session's turns are driven: what a protocol plugin registers, and the standard one (tool calling)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lash_ref.machine import Input, MachineState, Step, Table, step
from lash_ref.moves import TRANSITIONS
from lash_ref.plugins import PluginFactory, PluginSessionContext, SessionPlugin
from lash_ref.registrar import PluginRegistrar
from lash_ref.scalars import Json
from lash_ref.work import ProtocolTurnOptions

STANDARD_PROTOCOL_ID = "standard_protocol"


class ProtocolSession(Protocol):
    """The session side of a protocol."""

    async def initialize_session(self, session_id: str) -> None:
        """The session is being opened; nothing is restored yet."""
        ...

    async def restore_session(self, session_id: str, state: Any) -> None:
        """Take up what a stored `PersistedSessionState` holds for the protocol; an error fails the open."""
        ...


class ProtocolDriver(Protocol):
    """The turn side of a protocol."""

    @property
    def table(self) -> Table:
        """The protocol's transition table."""
        ...

    def step(self, state: MachineState, input: Input) -> Step:
        """One move of the turn machine."""
        ...

    def execution_prompt(self, options: ProtocolTurnOptions) -> str:
        """The protocol's own part of the system prompt."""
        ...

    def offers_tools(self) -> bool:
        """Whether the model is sent tool schemas."""
        ...


@dataclass(frozen=True)
class CodeResult:
    """What one run of code came to."""

    output: str
    error: str | None = None
    final: Json | None = None
    """The value that the code submitted as the turn's answer."""
    failed_with: Json | None = None
    """The value that the code submitted as the turn's failure."""
    tool_call_ids: Sequence[str] = ()


class CodeExecutor(Protocol):
    """Runs model-written code and keeps its state between turns."""

    @property
    def execution_state_dirty(self) -> bool:
        """Whether the state changed since it was last captured."""
        ...

    def snapshot(self) -> bytes | None:
        """The state as opaque bytes, or none when there is none; clears the dirty mark."""
        ...

    def restore(self, state: bytes | None) -> None:
        """Take up a state; none means a fresh one."""
        ...

    async def execute(self, code: str, language: str, tools: Any) -> CodeResult:
        """Run code; ``tools`` calls tools by name."""
        ...


class StandardSession:
    """The standard protocol keeps nothing of its own."""

    async def initialize_session(self, session_id: str) -> None:
        """Nothing to do."""

    async def restore_session(self, session_id: str, state: Any) -> None:
        """Nothing to take up."""


class StandardDriver:
    """Tool calling."""

    table = TRANSITIONS

    def step(self, state: MachineState, input: Input) -> Step:
        """One move."""
        return step(state, input, self.table)

    def execution_prompt(self, options: ProtocolTurnOptions) -> str:
        """What the model should know of tool calls."""
        del options
        return "Call tools when they help; several calls of one reply run at the same time."

    def offers_tools(self) -> bool:
        """It does."""
        return True


class _StandardPlugin(SessionPlugin):
    id = STANDARD_PROTOCOL_ID

    def register(self, reg: PluginRegistrar) -> None:
        reg.protocol().session(StandardSession())
        reg.protocol().protocol_driver(StandardDriver())


class StandardProtocolPluginFactory(PluginFactory):
    """Installs the standard protocol."""

    id = STANDARD_PROTOCOL_ID

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        del context
        return _StandardPlugin()
