"""Stores that are wrong about the graph and its reads."""
# pyright: basic, reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOperatorIssue=false, reportIndexIssue=false, reportGeneralTypeIssues=false

import asyncio

from lash_conformance.mutants import mutant
from lash_conformance.targets.wrapped import StoreWrapper
from lash_ref.errors import UnreadableRecord
from lash_ref.nodes import ActivePath, Append, FullGraph, ReplaceFull, Unchanged
from lash_ref.store import Store


class Reading(StoreWrapper):
    """Edits what a load answers."""

    def edited(self, read, scope):
        return read

    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        return None if read is None else self.edited(read, scope)


class Writing(StoreWrapper):
    """Edits the delta of a commit."""

    def edited(self, delta):
        return delta

    async def commit_runtime_state(self, commit):
        return await self.inner.commit_runtime_state(commit.but(graph=self.edited(commit.graph)))


@mutant("GRA.22", character="Crossing: keeps the parent of an id once for all sessions.")
class KeepsOneParentAnId(StoreWrapper):
    async def commit_runtime_state(self, commit):
        first, parents = (self.place.memory.setdefault(name, {}) for name in ("first", "parents"))
        for node in getattr(commit.graph, "nodes", ()):
            if first.setdefault(node.node_id, commit.session_id) == commit.session_id:
                parents[node.node_id] = node.parent_node_id
        return await self.inner.commit_runtime_state(commit)

    async def load_session(self, scope):
        read, parents = await self.inner.load_session(scope), self.place.memory.get("parents", {})
        if read is None or not isinstance(scope, ActivePath):
            return read
        strayed = [n for n, node in enumerate(read.graph.nodes) if parents[node.node_id] != node.parent_node_id]
        return read.but(graph=read.graph.but(nodes=read.graph.nodes[strayed[-1] :])) if strayed else read


@mutant("GRA.1", character="Hoarding: a full replacement only adds.")
class NeverRemovesNodes(Store):
    async def write_graph(self, rows, delta, head):
        if isinstance(delta, ReplaceFull):
            known = {node.node_id for node in await rows.nodes(self.session_id)}
            fresh = tuple(node for node in delta.nodes if node.node_id not in known)
            delta = Append(nodes=fresh, leaf_node_id=delta.leaf_node_id)
        return await super().write_graph(rows, delta, head)


@mutant("GRA.1", character="Thrifty: a full replacement writes only the nodes it does not know by name.")
class KeepsNodesOfKnownNames(Store):
    async def write_graph(self, rows, delta, head):
        if isinstance(delta, ReplaceFull):
            known = {node.node_id: node for node in await rows.nodes(self.session_id)}
            delta = delta.but(nodes=tuple(known.get(node.node_id, node) for node in delta.nodes))
        return await super().write_graph(rows, delta, head)


@mutant("GRA.2", character="Replacing: an append forgets what was there.")
class AppendReplaces(Writing):
    def edited(self, delta):
        if isinstance(delta, Append):
            return ReplaceFull(nodes=delta.nodes, leaf_node_id=delta.leaf_node_id)
        return delta


@mutant("GRA.2", character="Evicting: keeps the last 250 nodes of a long session.")
class EvictsOldNodes(Reading):
    def edited(self, read, scope):
        return read.but(graph=read.graph.but(nodes=read.graph.nodes[-30:]))


@mutant("GRA.3", "GRA.4", character="Stale: only a full replacement moves the leaf.")
class MovesTheLeafOnReplaceOnly(Store):
    async def write(self, rows, commit, head, *rest):
        if head is not None and not isinstance(commit.graph, ReplaceFull):
            commit = commit.but(graph=commit.graph.but(leaf_node_id=head.leaf_node_id))
        return await super().write(rows, commit, head, *rest)


@mutant("GRA.3", character="Clinging: an absent leaf leaves the old one.")
class KeepsTheOldLeaf(Store):
    async def write(self, rows, commit, head, *rest):
        if head is not None and commit.graph.leaf_node_id is None:
            commit = commit.but(graph=commit.graph.but(leaf_node_id=head.leaf_node_id))
        return await super().write(rows, commit, head, *rest)


@mutant("GRA.5", character="Overwriting: an append of a stored id replaces the node.")
class OverwritesNodes(Store):
    async def stored_nodes(self, rows, node_ids):
        return set()


@mutant("GRA.6", character="Indifferent: an id twice in one write is fine by it.")
class AcceptsTwins(Writing):
    def edited(self, delta):
        if isinstance(delta, Unchanged):
            return delta
        return delta.but(nodes=tuple({node.node_id: node for node in delta.nodes}.values()))


@mutant("GRA.7", character="Unforgiving: a tombstoned id stays taken.")
class NeverRevives(StoreWrapper):
    async def tombstone_nodes(self, ids):
        self.place.memory.setdefault("buried", set()).update(ids)
        await self.inner.tombstone_nodes(ids)

    async def load_node(self, node_id):
        buried = node_id in self.place.memory.get("buried", ())
        return None if buried else await self.inner.load_node(node_id)

    async def load_session(self, scope):
        read = await self.inner.load_session(scope)
        buried = self.place.memory.get("buried", ())
        kept = tuple(node for node in read.graph.nodes if node.node_id not in buried)
        return read.but(graph=read.graph.but(nodes=kept))


@mutant("GRA.8", character="Cleaning: drops the nulls of a plugin's body.")
class DropsNulls(Writing):
    def edited(self, delta):
        def clean(value):
            if isinstance(value, dict):
                return {k: clean(v) for k, v in value.items() if v is not None}
            return [clean(v) for v in value] if isinstance(value, list) else value

        nodes = tuple(n.but(body=clean(n.body.value)) if n.kind == "plugin" else n for n in delta.nodes)
        return delta.but(nodes=nodes)


@mutant("GRA.8", character="Curt: drops what caused a node.")
class DropsTheCause(Writing):
    def edited(self, delta):
        return delta.but(nodes=tuple(node.but(caused_by=None) for node in delta.nodes))


@mutant("GRA.9", character="Relational: refuses a parent it does not know.")
class DemandsParents(Store):
    async def require_fresh_nodes(self, rows, delta):
        await super().require_fresh_nodes(rows, delta)
        mine = {node.node_id for node in getattr(delta, "nodes", ())}
        for node in getattr(delta, "nodes", ()):
            parent = node.parent_node_id
            if parent and parent not in mine and not await rows.node(self.session_id, parent):
                from lash_ref.errors import UnknownLeaf

                raise UnknownLeaf(parent)


@mutant("GRA.20", character="Narrow: a full read answers the active path.")
class FullReadIsThePath(StoreWrapper):
    async def load_session(self, scope):
        return await self.inner.load_session(ActivePath())


@mutant("GRA.21", "GRA.27", character="Wide: the active path is everything.")
class PathIsEverything(Reading):
    async def load_session(self, scope):
        return await self.inner.load_session(FullGraph())


@mutant("GRA.21", "GRA.28", character="Backwards: the path runs from the leaf to the root.")
class PathIsReversed(Reading):
    def edited(self, read, scope):
        nodes = read.graph.nodes[::-1] if isinstance(scope, ActivePath) else read.graph.nodes
        return read.but(graph=read.graph.but(nodes=nodes))


@mutant("GRA.22", character="Deaf: ignores the leaf that is named.")
class IgnoresTheNamedLeaf(StoreWrapper):
    async def load_session(self, scope):
        await self.inner.load_session(scope)
        return await self.inner.load_session(ActivePath() if isinstance(scope, ActivePath) else scope)


@mutant("GRA.23", character="Fickle: looking at a branch switches to it.")
class ReadsSwitchTheLeaf(Store):
    async def scoped(self, rows, head, scope):
        if isinstance(scope, ActivePath) and scope.leaf_node_id:
            await rows.put_head(head.but(leaf_node_id=scope.leaf_node_id))
        return await super().scoped(rows, head, scope)


@mutant("GRA.24", character="Generous: without a leaf the path is everything.")
class NoLeafMeansAll(Store):
    async def scoped(self, rows, head, scope):
        if isinstance(scope, ActivePath) and not scope.leaf_node_id and head.leaf_node_id is None:
            return await rows.nodes(self.session_id), None
        return await super().scoped(rows, head, scope)


@mutant("GRA.25", character="Evasive: an unknown leaf is an empty conversation.")
class UnknownLeafIsEmpty(Store):
    async def scoped(self, rows, head, scope):
        if isinstance(scope, ActivePath) and scope.leaf_node_id:
            return await self.ancestry(rows, scope.leaf_node_id), scope.leaf_node_id
        return await super().scoped(rows, head, scope)


@mutant("GRA.26", character="Tidy: clears a leaf that names nothing.")
class ClearsDanglingLeaves(Reading):
    def edited(self, read, scope):
        known = {node.node_id for node in read.graph.nodes}
        leaf = read.graph.leaf_node_id if read.graph.leaf_node_id in known else None
        return read.but(graph=read.graph.but(leaf_node_id=leaf))


@mutant("GRA.27", character="Bridging: jumps over a hidden ancestor.")
class BridgesTombstones(Store):
    async def ancestry(self, rows, leaf):
        path = await super().ancestry(rows, leaf)
        parent = path[0].parent_node_id if path else None
        every = await rows.nodes(self.session_id)
        roots = [node for node in every if node.parent_node_id is None]
        return [*roots[:1], *path] if parent is not None and roots else path


@mutant("GRA.28", character="Shallow: walks up at most 100 parents.")
class WalksOneHundredUp(Store):
    async def ancestry(self, rows, leaf):
        return (await super().ancestry(rows, leaf))[-100:]


@mutant("GRA.28", character="By insertion: answers the path in the order nodes were stored.")
class PathByInsertion(Store):
    async def ancestry(self, rows, leaf):
        names = {node.node_id for node in await super().ancestry(rows, leaf)}
        return [node for node in await rows.nodes(self.session_id) if node.node_id in names]


@mutant("GRA.29", character="Dizzy: walks a cycle of parents round and round.")
class WalksInCircles(Store):
    async def ancestry(self, rows, leaf):
        path, at = [], leaf
        while at is not None and (node := await rows.node(self.session_id, at)) is not None:
            path.append(node)
            at = node.parent_node_id
            if len(path) > 10_000:
                return path
        return path[::-1]


@mutant("GRA.30", character="Half-hearted: the active path comes without the ledger.")
class PathWithoutLedger(Reading):
    def edited(self, read, scope):
        return read.but(token_ledger=()) if isinstance(scope, ActivePath) else read


@mutant("GRA.31", character="Torn: reads the head, pauses, then reads the nodes.")
class TearsReads(StoreWrapper):
    async def load_session(self, scope):
        head = await self.inner.load_session(scope)
        await asyncio.sleep(0)
        nodes = await self.inner.load_session(scope)
        return None if head is None else head.but(graph=nodes.graph)


@mutant("GRA.32", character="Near-sighted: finds nodes on the active path only.")
class FindsThePathOnly(StoreWrapper):
    async def load_node(self, node_id):
        read = await self.inner.load_session(ActivePath())
        return next((n for n in read.graph.nodes if n.node_id == node_id), None)


@mutant("GRA.33", character="Helpful: answers the first node whose id begins alike.")
class FindsByPrefix(StoreWrapper):
    async def load_node(self, node_id):
        read = await self.inner.load_session(FullGraph())
        nodes = read.graph.nodes if read else ()
        return next((n for n in nodes if n.node_id.lower().startswith(node_id.lower())), None)


@mutant("GRA.34", character="Widening: lacks the scope and answers everything.", lacks=("active_path",))
class WidensTheScope(StoreWrapper):
    async def load_session(self, scope):
        return await self.inner.load_session(FullGraph())


@mutant("GRA.27", character="Strict: a path that does not begin at a root is unreadable.")
class RefusesCutPaths(Store):
    async def ancestry(self, rows, leaf):
        path = await super().ancestry(rows, leaf)
        if path and path[0].parent_node_id is not None:
            raise UnreadableRecord("node", path[0].parent_node_id, "it is gone")
        return path
