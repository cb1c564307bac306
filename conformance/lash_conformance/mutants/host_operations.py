"""Hosts that are wrong about operations."""
# pyright: basic, reportIncompatibleMethodOverride=false

from dataclasses import replace

from lash_conformance.mutants.host import BrokenHost, host_mutant
from lash_ref.errors import UnknownOperation
from lash_ref.scalars import Json

OPERATION = "lash_ref.operations:RegisteredOperation"


def session_of(change):
    """``session`` as ``change(original, self, given, current)`` answers."""
    return lambda original: lambda self, given, current=None: change(original, self, given, current)


@host_mutant("OPS.2", character="Generous: drops a session that an operation does not take.")
class DropsTheSession(BrokenHost):
    def breaks(self, patch):
        def change(original, self, given, current):
            return None if self.operation.session_param == "forbidden" else original(self, given, current)

        patch(f"{OPERATION}.session", session_of(change))


@host_mutant("OPS.3", character="Pedantic: only a session that was named counts.")
class CurrentDoesNotCount(BrokenHost):
    def breaks(self, patch):
        def change(original, self, given, current):
            return given if self.operation.session_param == "optional" else original(self, given, current)

        patch(f"{OPERATION}.session", session_of(change))


@host_mutant("OPS.4", character="Terse: definitions say nothing of what they take.")
class NoSchemas(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def definition(self, kind):
                return original(self, kind).but(input_schema=Json({}), output_schema=Json({}))

            return definition

        patch("lash_ref.operations:PluginOperation.definition", make)


def outcome(change):
    """``invoke`` whose outcome goes through ``change``."""

    def make(original):
        async def invoke(self, context, args):
            return change(await original(self, context, args))

        return invoke

    return make


@host_mutant("OPS.5", "OPS.6", character="Silent: what a command tells goes nowhere.")
class DropsEvents(BrokenHost):
    def breaks(self, patch):
        patch(f"{OPERATION}.invoke", outcome(lambda made: replace(made, events=())))


@host_mutant("OPS.7", character="Forgetful: a command queues nothing.")
class QueuesNothing(BrokenHost):
    def breaks(self, patch):
        patch(f"{OPERATION}.invoke", outcome(lambda made: replace(made, directives=())))


@host_mutant("OPS.11", character="Blank: an unknown operation is not named.")
class DoesNotNameTheUnknown(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def operation(self, kind, name):
                try:
                    return original(self, kind, name)
                except UnknownOperation as err:
                    raise UnknownOperation("?") from err

            return operation

        patch("lash_ref.plugin_session:PluginSession.operation", make)


@host_mutant("OPS.11", character="By name: a command can be called as a query.")
class KindsDoNotCount(BrokenHost):
    def breaks(self, patch):
        def make(original):
            def operation(self, kind, name):
                found = self.contributions.operations.get(name)
                return found or original(self, kind, name)

            return operation

        patch("lash_ref.plugin_session:PluginSession.operation", make)
