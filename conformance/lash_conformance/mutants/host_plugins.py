"""Hosts that are wrong about plugins: the stack, build and register, lifecycle events."""
# pyright: basic, reportIncompatibleMethodOverride=false

import copy
from types import SimpleNamespace

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.errors import PluginError, RegistrationError
from lash_ref.plugins import PluginFactory, SessionPlugin

HOST = "lash_ref.plugin_host:PluginHost"
PLUGINS = "lash_ref.plugin_session:PluginSession"
STACK = "lash_ref.plugins:PluginStack"


def stacked(change):
    """A host whose factories go through ``change(host, given, builtins)``."""

    def make(original):
        def init(self, factories=(), builtins=()):
            given, builtins = tuple(factories), tuple(builtins)
            original(self, given, builtins)
            self.factories = tuple(change(self.factories, given, builtins))

        return init

    return make


def built(wrap):
    """``build_session`` with every factory wrapped by ``wrap(factory, context)``."""

    def make(original):
        def build_session(self, context, snapshot=None):
            factories = self.factories
            self.factories = tuple(wrap(each, context) for each in factories)
            try:
                return original(self, context, snapshot)
            finally:
                self.factories = factories

        return build_session

    return make


class Wrapped(PluginFactory):
    """A factory in front of another."""

    def __init__(self, inner):
        self.inner = inner
        self.id = inner.id

    def build(self, context):
        return self.inner.build(context)


# -- the stack


@host_mutant("PLG.1", character="Alphabetical: builds plugins in the order of their ids.")
class BuildsByName(BrokenHost):
    def breaks(self, patch):
        patch(f"{HOST}.__init__", stacked(lambda all_, *_: sorted(all_, key=lambda one: one.id)))


@host_mutant("PLG.2", character="Shuffling: taking one out turns the rest around.")
class RetainReverses(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def retain(self, keep):
                original(self, keep)
                self.factories.reverse()
                return self

            return retain

        patch(f"{STACK}.retain", make)


@host_mutant("PLG.3", character="Literal: what is not there cannot be replaced.")
class ReplacesOnlyTheKnown(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def replace_(self, factory):
                known = factory.id in [one.id for one in self.factories]
                return original(self, factory) if known else self

            return replace_

        patch(f"{STACK}.replace", make)


@host_mutant("PLG.4", character="Pushing in: the newest plugin stands first.")
class PushesToTheFront(BrokenHost):
    def breaks(self, patch):
        def push(self, factory):
            self.factories.insert(0, factory)
            return self

        patch(f"{STACK}.push", lambda _: push)


@host_mutant("PLG.6", character="Guests first: the session's own plugins are built before the core's.")
class BindingsFirst(BrokenHost):
    def breaks(self, patch):
        patch(f"{HOST}.__init__", stacked(lambda all_, *_: (all_[-1], *all_[:-1])))


@host_mutant("PLG.7", character="Guarded: a built-in's id is taken.")
class BuiltInsCannotBeReplaced(BrokenHost):
    def breaks(self, patch):
        def change(all_, given, _):
            if any(one.id == "lash.triggers" for one in given):
                raise RegistrationError("lash.triggers is built in")
            return all_

        patch(f"{HOST}.__init__", stacked(change))


@host_mutant("PLG.8", character="Tolerant: two plugins of one id share it.")
class IdsMayRepeat(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def init(self, factories=(), builtins=()):
                given = tuple(factories)
                original(self, {one.id: one for one in given}.values(), builtins)
                held = [one for one in self.factories if one.id not in {each.id for each in given}]
                self.factories = (*held, *given)

            return init

        patch(f"{HOST}.__init__", make)


@host_mutant("PLG.9", character="Backwards: extensions are told from the end of the stack.")
class ExtensionsBackwards(BrokenHost):
    def breaks(self, patch):
        patch(
            "lash_ref.plugins:PluginExtensions.payloads",
            lambda original: lambda self, extension_id: original(self, extension_id)[::-1],
        )


# -- build and register


@host_mutant("PLG.10", character="Doubting: builds every plugin twice and takes the second.")
class BuildsTwice(BrokenHost):
    def breaks(self, patch):
        class Twice(Wrapped):
            def build(self, context):
                self.inner.build(context)
                return self.inner.build(context)

        patch(f"{HOST}.build_session", built(lambda factory, _: Twice(factory)))


@host_mutant("PLG.12", character="Common: all sessions share one plugin.")
class SessionsShareAPlugin(BrokenHost):
    def breaks(self, patch):
        shared = {}

        class Shared(Wrapped):
            def build(self, context):
                return shared.setdefault(id(self.inner), self.inner.build(context))

        patch(f"{HOST}.build_session", built(lambda factory, _: Shared(factory)))


@host_mutant("PLG.13", character="Generous: a factory for each session.")
class AFactoryForEachSession(BrokenHost):
    def breaks(self, patch):
        patch(f"{HOST}.build_session", built(lambda factory, _: Wrapped(copy.copy(factory))))


@host_mutant("PLG.14", character="In two passes: builds all, then registers all.")
class BuildsThenRegisters(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def build_session(self, context, snapshot=None):
                factories = self.factories
                made = [(factory, factory.build(context)) for factory in factories]

                class Made(Wrapped):
                    def build(self, context):
                        return next(plugin for factory, plugin in made if factory is self.inner)

                self.factories = tuple(map(Made, factories))
                try:
                    return original(self, context, snapshot)
                finally:
                    self.factories = factories

            return build_session

        patch(f"{HOST}.build_session", make)


class Inert(SessionPlugin):
    """A plugin that does nothing."""

    def __init__(self, plugin_id):
        self.id = plugin_id


@host_mutant("PLG.15", character="Forgiving: opens the session without the plugin that failed.")
class OpensWithoutFailures(BrokenHost):
    def breaks(self, patch):
        class Safe(Wrapped):
            def build(self, context):
                try:
                    plugin = self.inner.build(context)
                except PluginError:
                    return Inert(self.id)
                register = plugin.register

                def safely(reg):
                    try:
                        register(reg)
                    except PluginError:
                        return

                plugin.register = safely
                return plugin

        patch(f"{HOST}.build_session", built(lambda factory, _: Safe(factory)))


@host_mutant("PLG.16", character="Unforgiving: an id that failed once never opens again.")
class FailedIdsStayTaken(BrokenHost):
    def breaks(self, patch):
        failed = set()

        def make(original):
            def build_session(self, context, snapshot=None):
                if context.session_id in failed:
                    raise RegistrationError("that session failed before")
                try:
                    return original(self, context, snapshot)
                except PluginError:
                    failed.add(context.session_id)
                    raise

            return build_session

        patch(f"{HOST}.build_session", make)


@host_mutant("PLG.17", character="First come: the second tool of a name is left out.")
class ClashingToolsAreLeftOut(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def provider(self, provider):
                try:
                    original(self, provider)
                except RegistrationError:
                    return

            return provider

        patch("lash_ref.registrar:ToolRegistrations.provider", make)


@host_mutant("PLG.18", character="Last word: the second operation of a name takes its place.")
class OperationsReplaceEachOther(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def add(self, kind, op, handler):
                self.held.operations.pop(op.name, None)
                original(self, kind, op, handler)

            return add

        patch("lash_ref.registrar:OperationRegistrations._add", make)


@host_mutant("PLG.19", "PLG.20", character="Last word: a place for one goes to whoever came last.")
class PlacesChangeHands(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def take(self, plugin_id, value):
                self.held = None
                original(self, plugin_id, value)

            return take

        patch("lash_ref.registrar:Exclusive.take", make)


@host_mutant("PLG.19", character="Terse: a clash over the projector names neither plugin.")
class ProjectorClashesAreNotNamed(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def projector(self, projector):
                try:
                    original(self, projector)
                except RegistrationError as err:
                    raise RegistrationError("two projectors") from err

            return projector

        patch("lash_ref.registrar:ToolResultRegistrations.projector", make)


@host_mutant("PLG.22", character="Tolerant: a trigger may be declared twice.")
class TriggersMayRepeat(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def declare(self, event):
                self.held.triggers.pop(event.key, None)
                original(self, event)

            return declare

        patch("lash_ref.registrar:TriggerRegistrations.declare", make)


@host_mutant("PLG.23", character="Silent: declared triggers are not listed.")
class TriggersAreNotListed(BrokenHost):
    def breaks(self, patch):
        patch(f"{PLUGINS}.triggers", lambda _: property(lambda self: ()))


@host_mutant("PLG.24", character="Quiet: plugins have no say in the prompt.")
class PluginsHaveNoPrompt(BrokenHost):
    def breaks(self, patch):
        def make(_):
            async def prompt_contributions(self, context):
                return ()

            return prompt_contributions

        patch(f"{PLUGINS}.prompt_contributions", make)


@host_mutant("PLG.25", character="Orphaned: every session is told to be a root.")
class EverySessionIsRoot(BrokenHost):
    def breaks(self, patch):
        patch("lash_ref.plugins:PluginSessionContext.is_root_session", lambda _: lambda self: True)


@host_mutant("PLG.26", character="Two worlds: plugins' tools hide those without a plugin.")
class ToolsWithoutAPluginAreHidden(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def from_providers(cls, providers, hidden=()):
                return original.__func__(cls, providers[-1:], hidden)

            return classmethod(from_providers)

        patch("lash_ref.tool_registry:ToolRegistry.from_providers", make)


@host_mutant("PLG.27", character="Backwards: the last plugin is ready first.")
class ReadyBackwards(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def make_ready(self, session):
                original(self, SimpleNamespace(session_id=session.session_id, plugins=session.plugins[::-1]))

            return make_ready

        patch(f"{HOST}._make_ready", make)


@host_mutant("PLG.28", character="Forgiving: opens whether the plugins are ready or not.")
class NobodyNeedsToBeReady(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def make_ready(self, session):
                try:
                    original(self, session)
                except PluginError:
                    return

            return make_ready

        patch(f"{HOST}._make_ready", make)
