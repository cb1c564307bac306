"""What a session runs with: its policy, the spec that a policy is resolved from, and residency."""

from enum import StrEnum
from typing import Final, Literal

from lash_ref.prompt import PromptLayer
from lash_ref.records import ModelSpec, PersistedSessionConfig
from lash_ref.records import SessionPolicy as StorePolicy
from lash_ref.runtime_errors import SessionError
from lash_ref.scalars import U64, Identifier, Record, Text

UNCONFIGURED: Final = "unconfigured"


class ModeId(Record):
    """The name of an installed mode (older name; a core has one protocol plugin since lash a56)."""

    name: Text

    @classmethod
    def standard(cls) -> "ModeId":
        """Tool calling."""
        return cls(name="standard")

    @classmethod
    def rlm(cls) -> "ModeId":
        """Model-written code."""
        return cls(name="rlm")


class Residency(StrEnum):
    """Which nodes of the graph a live session keeps in memory."""

    KEEP_ALL = "keep_all"
    ACTIVE_PATH_ONLY = "active_path_only"


class SessionPolicy(Record, extra="forbid"):
    """Model, limits and prompt of a session; unknown keys are refused.

    ``execution_mode`` and ``standard_context_approach`` are older names, kept for hosts that still set
    them; they select nothing here and are left out of JSON when unset.
    """

    provider_id: Text = ""
    model: ModelSpec | None = None
    session_id: Identifier | None = None
    autonomous: bool = False
    max_turns: U64 | None = None
    """Model calls a turn may make."""
    prompt: PromptLayer | None = None
    execution_mode: Text | None = None
    standard_context_approach: Text | None = None

    @property
    def max_context_tokens(self) -> int | None:
        """Older name of the model's context window, in tokens."""
        return self.model.limits.context_window_tokens if self.model is not None else None

    @property
    def is_unconfigured(self) -> bool:
        """Neither a provider nor a model is named; such a policy takes its host's place."""
        return self.provider_id in {"", UNCONFIGURED} and self.model_id == ""

    @property
    def model_id(self) -> str:
        """The model's id, empty when no model is set."""
        return self.model.id if self.model is not None else ""

    def recorded_provider_id(self) -> str:
        """The provider id as stored with the session."""
        return self.provider_id

    def required_model(self) -> ModelSpec:
        """The model.

        Raises:
            SessionError: the policy names none.
        """
        if self.model is None or not self.model.id:
            raise SessionError("the session policy names no model; hosts must supply model metadata")
        return self.model

    def config(self) -> PersistedSessionConfig:
        """What a commit records of the policy."""
        return PersistedSessionConfig(provider_id=self.provider_id, model=self.required_model())

    def for_store(self) -> StorePolicy:
        """What a store factory needs of the policy."""
        return StorePolicy(provider_id=self.provider_id, model=self.required_model())


class SessionSpec(Record, extra="forbid"):
    """Changes against a policy; what is not named is inherited."""

    provider_id: Text | None = None
    model: ModelSpec | None = None
    max_turns: U64 | Literal["inherit"] | None = "inherit"
    """A number of model calls, none for no limit, or ``inherit``."""
    prompt: PromptLayer | None = None

    @classmethod
    def inherit(cls) -> "SessionSpec":
        """Inherit everything."""
        return cls()

    def resolve_against(self, base: SessionPolicy) -> SessionPolicy:
        """The policy with this spec's changes; a prompt layer here stands above the base's."""
        return base.but(
            provider_id=base.provider_id if self.provider_id is None else self.provider_id,
            model=self.model or base.model,
            max_turns=base.max_turns if self.max_turns == "inherit" else self.max_turns,
            prompt=self.prompt or base.prompt,
        )


class LegacySessionConfig(Record):
    """The configuration of lash's first releases; an empty model and a zero window say nothing."""

    configured_model: Text = ""
    context_window: U64 = 0
    execution_mode: Text | None = None
    standard_context_approach: Text | None = None
    model_variant: Text | None = None


def apply_persisted_session_config(
    policy: SessionPolicy, config: PersistedSessionConfig | LegacySessionConfig
) -> SessionPolicy:
    """``policy`` as the stored configuration says."""
    if isinstance(config, PersistedSessionConfig):
        return policy.but(provider_id=config.provider_id, model=config.model)
    model = policy.model
    window = config.context_window or policy.max_context_tokens
    if window is not None and (name := config.configured_model or policy.model_id):
        capacity = model.limits.output_token_capacity if model is not None else None
        model = ModelSpec.from_token_limits(name, config.model_variant, window, capacity)
    return policy.but(
        model=model,
        execution_mode=config.execution_mode,
        standard_context_approach=config.standard_context_approach,
    )
