"""The session graph as it is stored: nodes, what a commit changes of them, and how much of them a read asks for."""

from typing import Annotated, Literal

from pydantic import Field

from lash_ref.scalars import Identifier, Json, Record, Text, external
from lash_ref.work import CausalRef


class NodeBase(Record):
    node_id: Identifier
    parent_node_id: Identifier | None = None
    caused_by: CausalRef | None = None
    agent_frame_id: Identifier | None = None
    timestamp: Text
    """RFC 3339."""


class EventNode(NodeBase):
    """A conversation message or protocol event, opaque to the store."""

    kind: Literal["event"] = "event"
    event: Json = Field(examples=[{"Protocol": {"plugin_id": "kit", "payload": {"a": None}}}])


class PluginNode(NodeBase):
    """A plugin's own node, opaque to everyone else."""

    kind: Literal["plugin"] = "plugin"
    plugin_type: Text
    body: Json


SessionNodeRecord = Annotated[EventNode | PluginNode, Field(discriminator="kind")]


class GraphSnapshot(Record):
    """Nodes in stored order and the active leaf: the JSON form of a session graph."""

    nodes: tuple[SessionNodeRecord, ...] = ()
    leaf_node_id: Identifier | None = None


class Unchanged(Record):
    """Adds nothing; sets the leaf."""

    leaf_node_id: Identifier | None = None


class Append(Record):
    """Adds nodes after the existing ones; sets the leaf."""

    nodes: tuple[SessionNodeRecord, ...]
    leaf_node_id: Identifier | None = None


class ReplaceFull(GraphSnapshot):
    """Makes the stored nodes exactly these; sets the leaf."""


GraphCommitDelta = Annotated[
    Unchanged | Append | ReplaceFull, *external(Unchanged, Append, ReplaceFull)
]


class FullGraph(Record):
    """Every branch that is not tombstoned."""


class ActivePath(Record):
    """The ancestry of a leaf, root first; the stored leaf when none is named."""

    leaf_node_id: Identifier | None = None


SessionReadScope = Annotated[
    FullGraph | ActivePath, *external(FullGraph, ActivePath, unit=(FullGraph,))
]
