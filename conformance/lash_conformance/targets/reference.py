"""The reference runtime behind the host Protocol, over any store target (``reference``, ``reference:sqlite``)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lash_conformance.host import IN_PROCESS, CoreSpec, Data, HostCapability, HostPlace
from lash_conformance.provider_calls import ReferenceProviders
from lash_conformance.replays import recorder, replayer
from lash_conformance.targets.reference_core import ReferenceCore
from lash_conformance.targets.reference_state import PURE
from lash_ref import __version__
from lash_ref.plugin_host import PluginHost
from lash_ref.policy import SessionPolicy
from lash_ref.protocol import StandardProtocolPluginFactory
from lash_ref.runtime import LashRuntime, RuntimeEnvironment
from lash_ref.state import PersistedSessionState, SessionSnapshot


async def from_environment(arguments: Data) -> Data:
    """A runtime made of an environment; the state it starts with."""
    plugins = PluginHost([StandardProtocolPluginFactory()]) if arguments.get("plugin_host", True) else None
    env = RuntimeEnvironment(plugin_host=plugins)
    given = SessionSnapshot.from_data({"session_id": "s1"} | arguments.get("state", {}))
    policy = SessionPolicy.from_data(arguments.get("policy", {}))
    made = await LashRuntime.from_environment(env, policy, PersistedSessionState.from_snapshot(given))
    return made.state.to_snapshot().to_data()


class ReferenceHost(ReferenceProviders):
    """The reference runtime as a host target; it speaks every dialect of the provider chapter."""

    name = "reference"
    version = __version__
    capabilities: frozenset[HostCapability] = IN_PROCESS - (frozenset() if find_spec("pydantic_monty") else {"rlm"})
    """All but model-written code where its sandbox, the extra ``rlm``, is not installed."""

    speaks_httpx = True

    def __init__(self, store: str = "memory") -> None:
        super().__init__()
        self.store = store

    async def core(self, place: HostPlace, spec: CoreSpec) -> ReferenceCore:
        """Build a core."""
        made = ReferenceCore(place, spec)
        await made.build()
        return made

    def replayer(self, folder: Path) -> AbstractContextManager[str]:
        """The suite's own replayer."""
        return replayer(folder)

    def recorder(self, upstream: str, out: Path, markers: Sequence[str]) -> AbstractContextManager[str]:
        """The suite's own recorder."""
        return recorder(upstream, out, markers)

    async def pure(self, method: str, arguments: Data) -> Any:
        """A pure helper of the state chapter."""
        if method == "from_environment":
            return await from_environment(arguments)
        return PURE[method](arguments)


def target(store: str = "memory") -> ReferenceHost:
    """The reference over a store target."""
    return ReferenceHost(store)
