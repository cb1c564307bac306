"""The plugin host of a core, and the plugin session it builds for each session.

Opening goes factory by factory in stack order, each built and at once registered; then the protocol is
required, the session is registered under its id, and every plugin is told it is ready. Stored state is
restored by whoever opens the session, once, after tool state.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from lash_ref import hooks
from lash_ref.errors import (
    PluginError,
    PluginSessionError,
    RegistrationError,
    UnknownPluginSession,
)
from lash_ref.plugin_session import PluginSession
from lash_ref.plugins import (
    PluginExtensions,
    PluginFactory,
    PluginSessionContext,
    SessionPlugin,
    SessionReadyContext,
)
from lash_ref.registrar import Contributions, PluginRegistrar
from lash_ref.snapshots import (
    PluginSessionSnapshot,
)


class PluginHost:
    """A core's factories, and the live sessions built from them."""

    def __init__(
        self, factories: Iterable[PluginFactory] = (), builtins: Iterable[PluginFactory] = ()
    ) -> None:
        """Take ``builtins`` that no given factory replaces by id, then the factories in order ([PLG.7][]).

        Raises:
            RegistrationError: [PLG.8][] two factories share an id, as their stored state would.
        """
        given = tuple(factories)
        ids = [factory.id for factory in given]
        for id in ids:
            if ids.count(id) > 1:
                raise RegistrationError(f"two plugins have the id {id!r}")
        self.factories = (*(each for each in builtins if each.id not in ids), *given)
        self.extensions = PluginExtensions(
            tuple(each for factory in self.factories for each in factory.extension_contributions())
        )
        self._sessions: WeakValueDictionary[str, PluginSession] = WeakValueDictionary()

    def process_engines(self) -> dict[str, Any]:
        """Every contributed process engine by kind.

        Raises:
            RegistrationError: a kind is contributed twice.
        """
        engines: dict[str, Any] = {}
        for factory in self.factories:
            for kind, engine in factory.process_engine_contributions(self.extensions).items():
                if kind in engines:
                    raise RegistrationError(f"process engine {kind!r} is contributed twice")
                engines[kind] = engine
        return engines

    def build_session(
        self, context: PluginSessionContext, snapshot: PluginSessionSnapshot | None = None
    ) -> PluginSession:
        """Build and register factory by factory, then make every plugin ready ([PLG.14][], [PLG.27][]).

        ``snapshot`` is restored when one is given.

        Each is told the extensions of all ([PLG.9][]).

        Raises:
            PluginError: a plugin failed or clashes, or the session is live already; its id stays free
                ([PLG.15][], [PLG.16][], [PLG.28][]).
        """
        context = replace(context, extensions=self.extensions)
        plugins: list[SessionPlugin] = []
        contributions = Contributions()
        for factory in self.factories:
            try:
                plugin = factory.build(context)
                if any(each.id == plugin.id for each in plugins):
                    raise RegistrationError(f"two plugins have the id {plugin.id!r}")
                plugins.append(plugin)
                plugin.register(PluginRegistrar(plugin.id, contributions))
            except PluginError:
                raise
            except Exception as err:
                raise RegistrationError(f"plugin {factory.id!r} could not be set up: {err}") from err
        contributions.require_protocol()
        session = PluginSession(
            context, plugins, contributions, leave=partial(self.unregister_session, context.session_id)
        )
        if context.session_id in self._sessions:
            raise PluginSessionError(f"session {context.session_id!r} is live on this plugin host")
        self._sessions[context.session_id] = session
        try:
            self._make_ready(session)
            if snapshot is not None:
                session.restore(snapshot)
        except PluginError:
            self.unregister_session(context.session_id)
            raise
        return session

    def _make_ready(self, session: PluginSession) -> None:
        ready = SessionReadyContext(session.session_id, self)
        for plugin in session.plugins:
            try:
                plugin.session_ready(ready)
            except Exception as err:
                raise hooks.hook_error(plugin.id, "session_ready", err) from err

    def unregister_session(self, session_id: str) -> None:
        """Forget a live session, so that its id can be opened again."""
        self._sessions.pop(session_id, None)

    def session(self, session_id: str) -> PluginSession:
        """A live session.

        Raises:
            UnknownPluginSession: there is none.
        """
        found = self._sessions.get(session_id)
        if found is None:
            raise UnknownPluginSession(session_id)
        return found
