"""Stores that are wrong about what became of input."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.store import Store


def _without(commit):
    dones = tuple(done.but(applications=()) for done in commit.completed_turn_input_claims)
    return commit.but(completed_turn_input_claims=dones)


@mutant("INP.39", "INP.40", "INP.41", character="Unaware: knows completions, but not what they say of the inputs.")
class DropsApplications(StoreWrapper):
    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(_without(commit))


@mutant("INP.39", character="Forgetful: a repeat no longer says what was applied.")
class RepeatsApplyNothing(Store):
    async def recorded(self, rows, commit):
        found = await super().recorded(rows, commit)
        return None if found is None else found.but(turn_input_applications=())


@mutant("INP.39", character="Tidy: answers applications by input id.")
class SortsApplications(StoreWrapper):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        in_order = sorted(result.turn_input_applications, key=lambda one: one.input_id)
        return result.but(turn_input_applications=tuple(in_order))


@mutant("INP.40", character="Alphabetical: lists applications by turn id.")
class ListsByTurn(StoreWrapper):
    async def list_turn_input_applications(self, session_id):
        listed = await self.inner.list_turn_input_applications(session_id)
        return tuple(sorted(listed, key=lambda one: one.turn_id))


@mutant("INP.40", character="Indiscreet: every session sees the bound session's applications.")
class ListsTheBoundSession(StoreWrapper):
    async def list_turn_input_applications(self, session_id):  # noqa: ARG002 - that is the mistake
        return await self.inner.list_turn_input_applications("s1")


@mutant("INP.41", character="Thorough: a vacuum takes the applications with the inputs.")
class VacuumsApplications(StoreWrapper):
    async def vacuum(self):
        self.place.memory["vacuumed"] = True
        return await self.inner.vacuum()

    async def list_turn_input_applications(self, session_id):
        if self.place.memory.get("vacuumed"):
            return ()
        return await self.inner.list_turn_input_applications(session_id)


class Remembering(StoreWrapper):
    """Keeps a list of its own beside the store's."""

    def told(self, session_id):
        return self.place.memory.setdefault(f"told {session_id}", [])

    async def list_turn_input_applications(self, session_id):
        return tuple(self.told(session_id))


@mutant("INP.40", character="Hasty: notes what was applied before the commit is accepted.")
class NotesRefusedApplications(Remembering):
    async def commit_runtime_state(self, commit):
        noted = self.told(commit.session_id)
        for done in commit.completed_turn_input_claims:
            noted.extend(one for one in done.applications if one not in noted)
        return await self.inner.commit_runtime_state(commit)


@mutant("INP.40", character="Twice told: counts a repeated commit again.")
class CountsRepeats(Remembering):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        self.told(commit.session_id).extend(result.turn_input_applications)
        return result


@mutant("INP.41", character="Haunted: what a deleted session applied is listed by its successor.")
class KeepsDeletedApplications(Remembering):
    async def commit_runtime_state(self, commit):
        result = await self.inner.commit_runtime_state(commit)
        noted = self.told(commit.session_id)
        noted.extend(one for one in result.turn_input_applications if one not in noted)
        return result
