"""What a session last published: the state that readers see while a turn runs."""

from dataclasses import dataclass
from functools import cached_property, partial

from lash_ref.contracts import RuntimePersistence
from lash_ref.policy import SessionPolicy
from lash_ref.scalars import LaterJson
from lash_ref.state import PersistedSessionState, SessionReadView
from lash_ref.tool_state import ToolState
from lash_ref.usage import SessionUsageReport


@dataclass(frozen=True)
class RuntimeObservation:
    """What was last published of a session; reading it waits for nothing ([OBS.1][])."""

    persisted_state: PersistedSessionState
    """The state as it was, for reading only."""
    tool_state: ToolState
    queue_store: RuntimePersistence | None = None

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.persisted_state.session_id

    @property
    def policy(self) -> SessionPolicy:
        """The policy in force."""
        return self.persisted_state.policy

    @property
    def revision(self) -> int:
        """The head it shows; the turns it counts when there is no store."""
        state = self.persisted_state
        return state.turn_index if state.head_revision is None else state.head_revision

    @cached_property
    def usage_report(self) -> SessionUsageReport:
        """What the session spent, summed when it is first asked for."""
        return self.persisted_state.usage_report()

    @cached_property
    def read_view(self) -> SessionReadView:
        """The conversation, read when it is first asked for."""
        return self.persisted_state.read_view()

    def later_view(self) -> LaterJson:
        """The conversation as an event shows it, made when somebody reads the event."""
        return LaterJson(partial(_view, self.persisted_state))


def _view(state: PersistedSessionState) -> object:
    # Not the one that the observation keeps: an event that is read would hold the conversation of its turn from then on.
    return SessionReadView.from_persisted_state(state).to_data()
