"""Stores that keep a journal beside their database, and are wrong about its last line."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import json
import os

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper, WrappedTarget
from lash_ref.errors import UnreadableRecord


def journal_of(place):
    return place.directory / "journal"


class Journaled(WrappedTarget):
    """The SQLite store; each commit is written to the journal first, and the journal is read at each opening."""

    on_sqlite = True

    class store(StoreWrapper):  # noqa: N801 - the name of the part
        async def commit_runtime_state(self, commit):
            with journal_of(self.place).open("a") as file:
                file.write(commit.to_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            return await self.inner.commit_runtime_state(commit)

    def torn(self, line):
        """What to do about a last line without an end."""

    async def open(self, place):
        lines = journal_of(place).read_text().split("\n") if journal_of(place).exists() else [""]
        if lines[-1]:
            self.torn(lines[-1])
        for number, line in enumerate(lines[:-1]):
            try:
                json.loads(line)
            except ValueError as err:
                raise UnreadableRecord("database", f"journal line {number + 1}", str(err)) from err
        return await super().open(place)


@mutant("STO.85", character="Proud: a torn last line of its journal is somebody's fault.", crashes=True)
class RefusesATornLine(Journaled):
    def torn(self, line):
        raise UnreadableRecord("database", "journal", "the last line is torn")


@mutant("STO.85", character="Careless: reads over a torn last line and writes on behind it.", crashes=True)
class WritesBehindATornLine(Journaled):
    pass


@mutant("STO.85", character="By the length: a record of its journal that is as long as it says is whole.", crashes=True)
class TrustsLengths(WrappedTarget):
    on_sqlite = True

    class store(StoreWrapper):  # noqa: N801 - the name of the part
        async def commit_runtime_state(self, commit):
            text = commit.to_json().encode()
            with journal_of(self.place).open("ab") as file:
                file.write(len(text).to_bytes(4) + text)
                file.flush()
                os.fsync(file.fileno())
            return await self.inner.commit_runtime_state(commit)

    async def open(self, place):
        rest = journal_of(place).read_bytes() if journal_of(place).exists() else b""
        read = 0
        while len(rest) >= 4 and len(rest) - 4 >= (length := int.from_bytes(rest[:4])):
            try:
                json.loads(rest[4 : 4 + length])
            except ValueError as err:
                raise UnreadableRecord("database", f"journal at {read}", str(err)) from err
            read, rest = read + 4 + length, rest[4 + length :]
        if rest:
            os.truncate(journal_of(place), read)
        return await super().open(place)
