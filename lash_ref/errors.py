"""Every way the contract refuses.

LashError
├── InvalidRecord                     what was given is not a record of the contract
├── PluginError                       a plugin failed, or the host refused it
│   ├── RegistrationError             what was registered cannot be
│   ├── SnapshotError                 private state cannot be written or read
│   ├── InvokeError                   a hook failed
│   └── PluginSessionError            the session cannot serve the plugin
├── PluginOperationError              an operation was not carried out
│   ├── UnknownOperation              nobody registered that name
│   ├── UnknownPluginSession          no such live session
│   ├── MissingSession                the operation needs a session
│   ├── UnexpectedSession             the operation takes no session
│   └── OperationFailed               the operation itself failed
├── McpServerError                    an MCP server is not taken in
│   ├── InvalidMcpServer              its configuration cannot be meant
│   └── McpServerUnreachable          it did not answer as it should
├── MissingPluginTurnInput            a bound plugin was not given its input
├── ReconfigureError                  the tool surface stays as it was
│   ├── InvalidToolSurface            the surface would be ambiguous or unresolvable
│   ├── UnknownToolSource             no such source
│   └── GenerationMismatch            the surface moved on
└── StoreError
    ├── SessionBindingMismatch        the store belongs to another session
    ├── UnsupportedReadScope          the backend lacks that read
    ├── Unsupported                   the backend lacks that capability
    ├── HeadRevisionConflict          the head moved on
    ├── RuntimeTurnCommitConflict     the turn was committed with other content
    ├── SessionExecutionLeaseExpired  the fence is not the live lease
    ├── QueuedWorkClaimSuperseded     a queue claim is no longer the caller's
    ├── TurnInputClaimSuperseded      an input claim is no longer the caller's
    ├── UnsettledQueuedWorkClaim      a commit forgets a queue claim it used
    ├── UnsettledTurnInputClaim       a commit forgets an input claim it used
    ├── PendingTurnInputSourceKeyConflict   the key names another input
    ├── DuplicateInputId              the input id is taken
    ├── DuplicateNodeId               the node id is taken
    ├── UnknownLeaf                   no such node to read from
    ├── MissingRecordSchemaVersion    a stored record says no version
    ├── InvalidRecordSchemaVersion    a stored record's version is no number
    ├── UnsupportedRecordSchemaVersion  a stored record is of another version
    ├── UnsupportedDatabaseSchema     the database is of another version
    ├── UnreadableRecord              a stored record cannot be read
    ├── AttachmentNotFound            no such bytes, or no reference to them
    ├── AttachmentIo                  the bytes could not be read or written
    ├── ManifestRecordFailed          the intent could not be recorded
    └── Backend                       anything else the backend met

Each error's ``code`` is its class name and its ``fields`` are the contract's; the text is for people
and is never compared.
"""

from typing import ClassVar


class LashError(Exception):
    """Root of every error the runtime and its stores raise on purpose."""

    wording: ClassVar[str] = "{}"
    names: ClassVar[tuple[str, ...]] = ()
    known_as: ClassVar[str] = ""
    """The contract's name where the class has another."""

    def __init__(self, *values: object) -> None:
        if len(values) != len(self.names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.names)}")
        self.values = values
        super().__init__(self.wording.format(**self.fields))

    @property
    def code(self) -> str:
        """The contract's name for this refusal, the same in every language."""
        return self.known_as or type(self).__name__

    @property
    def fields(self) -> dict[str, object]:
        """The refusal's facts by name."""
        return dict(zip(self.names, self.values, strict=True))

    def __reduce__(self) -> tuple[type["LashError"], tuple[object, ...]]:
        return type(self), self.values


class InvalidRecord(LashError):
    """What was given is not a record of the contract; nothing was written ([REC.1][])."""

    names = ("record_kind", "field", "expected", "found")
    wording = "{record_kind}: {field} must be {expected}; found {found}"


class PluginError(LashError):
    """A plugin failed, or the host refused what it asked."""

    names = ("message",)
    wording = "{message}"


class RegistrationError(PluginError):
    """What a plugin registered clashes or is incomplete; the session is not built."""


class SnapshotError(PluginError):
    """A plugin's private state could not be written or read."""


class InvokeError(PluginError):
    """A hook failed."""


class PluginSessionError(PluginError):
    """The session cannot do what a plugin asked."""


class PluginOperationError(LashError):
    """Root of what an operation's caller is told; nothing was committed."""

    names = ("operation",)


class UnknownOperation(PluginOperationError):
    """No plugin of the session registered that name for that kind."""

    wording = "no plugin operation {operation!r} of that kind"


class UnknownPluginSession(PluginOperationError):
    """The host holds no live session of that id."""

    names = ("session_id",)
    wording = "no live plugin session {session_id!r}"


class MissingSession(PluginOperationError):
    """The operation needs a session and was given none."""

    wording = "plugin operation {operation!r} needs a session"


class UnexpectedSession(PluginOperationError):
    """The operation takes no session and was given one."""

    wording = "plugin operation {operation!r} takes no session"


class OperationFailed(PluginOperationError):
    """The arguments are not the operation's, or its handler failed."""

    names = ("operation", "reason")
    wording = "plugin operation {operation!r} failed: {reason}"


class McpServerError(LashError):
    """Root of what a pool of MCP servers refuses; the pool is as it was."""

    names = ("server_name", "reason")


class InvalidMcpServer(McpServerError):
    """The server's name, command or URL cannot be meant."""

    wording = "MCP server {server_name!r} is configured wrongly: {reason}"


class McpServerUnreachable(McpServerError):
    """The server could not be started, did not shake hands, or did not list its tools in time."""

    wording = "MCP server {server_name!r} cannot be reached: {reason}"


class MissingPluginTurnInput(LashError):
    """A plugin bound to the session needs an input at every turn and this turn has none."""

    names = ("plugin_id",)
    wording = "the turn carries no input for plugin {plugin_id!r}"


class ReconfigureError(LashError):
    """Root of what the tool registry refuses; the surface is as it was."""


class InvalidToolSurface(ReconfigureError):
    """Two tools would share an id or a name, or a tool would resolve nowhere."""

    names = ("reason",)
    wording = "the tool surface cannot be: {reason}"


class UnknownToolSource(ReconfigureError):
    """No source goes by that handle."""

    names = ("source_id",)
    wording = "no tool source {source_id!r}"


class GenerationMismatch(ReconfigureError):
    """The change was made against another generation of the surface."""

    names = ("expected", "actual")
    wording = "the change expects generation {expected}; the registry is at {actual}"


class StoreError(LashError):
    """Root of what a store refuses; unless said otherwise the store is as it was."""


class SessionBindingMismatch(StoreError):
    """The store is bound to one session and the request names another ([STO.8][], [STO.9][])."""

    names = ("bound_session_id", "attempted_session_id")
    wording = "the store belongs to session {bound_session_id!r}; the request names {attempted_session_id!r}"


class UnsupportedReadScope(StoreError):
    """The backend lacks the scope and does not widen it."""

    names = ("scope",)
    wording = "this store cannot read scope {scope}"


class Unsupported(StoreError):
    """The backend did not declare the capability behind this operation."""

    names = ("capability",)
    wording = "this store does not offer {capability}"


class HeadRevisionConflict(StoreError):
    """The commit expected another head revision than the stored one."""

    names = ("expected", "actual")
    wording = "the commit expects head revision {expected}; the stored one is {actual}"


class RuntimeTurnCommitConflict(StoreError):
    """The turn was already committed with other content, or its stamp names another session."""

    names = ("session_id", "turn_id")
    wording = "turn {turn_id!r} of session {session_id!r} was committed with other content"


class SessionExecutionLeaseExpired(StoreError):
    """The fence given is not the session's live lease."""

    names = ("session_id",)
    wording = "the execution lease of session {session_id!r} is missing, expired or another's"


class QueuedWorkClaimSuperseded(StoreError):
    """A completion lists a batch that its claim no longer holds."""

    names = ("session_id", "claim_id")
    wording = "queue claim {claim_id!r} of session {session_id!r} no longer holds its batches"


class TurnInputClaimSuperseded(StoreError):
    """A completion lists an input that its claim no longer holds."""

    names = ("session_id", "claim_id")
    wording = "input claim {claim_id!r} of session {session_id!r} no longer holds its inputs"


class UnsettledQueuedWorkClaim(StoreError):
    """A commit built from a queue claim does not complete it."""

    names = ("session_id", "claim_id")
    wording = "the commit of session {session_id!r} uses queue claim {claim_id!r} but does not settle it"


class UnsettledTurnInputClaim(StoreError):
    """A commit built from an input claim does not complete it."""

    names = ("session_id", "claim_id")
    wording = "the commit of session {session_id!r} uses input claim {claim_id!r} but does not settle it"


class PendingTurnInputSourceKeyConflict(StoreError):
    """The source key is bound to an input with other content."""

    names = ("session_id", "source_key", "existing_input_id")
    wording = (
        "source key {source_key!r} of session {session_id!r} already names input {existing_input_id!r} "
        "with other content"
    )


class DuplicateInputId(StoreError):
    """The input id is taken by another input."""

    names = ("session_id", "input_id")
    wording = "input id {input_id!r} of session {session_id!r} is taken"


class DuplicateNodeId(StoreError):
    """The node id is stored already, or appears twice in one write."""

    names = ("session_id", "node_id")
    wording = "node id {node_id!r} of session {session_id!r} is taken"


class UnknownLeaf(StoreError):
    """The leaf to read from names no live node."""

    names = ("leaf_node_id",)
    wording = "no live node {leaf_node_id!r} to read from"


class MissingRecordSchemaVersion(StoreError):
    """A stored record says no version."""

    names = ("record_kind", "expected")
    wording = "a stored {record_kind} says no schema_version; expected {expected}"


class InvalidRecordSchemaVersion(StoreError):
    """A stored record's version is not an unsigned 32-bit integer."""

    names = ("record_kind", "actual", "expected")
    wording = "a stored {record_kind} says schema_version {actual}; expected the integer {expected}"


class UnsupportedRecordSchemaVersion(StoreError):
    """A stored record is of another version."""

    names = ("record_kind", "actual", "expected")
    wording = "a stored {record_kind} is of schema_version {actual}; this build reads {expected}"


class UnsupportedDatabaseSchema(StoreError):
    """The database was written by another version; it is left untouched."""

    names = ("actual", "expected")
    wording = "the database is of schema version {actual}; this build reads {expected}"


class UnreadableRecord(StoreError):
    """A stored record cannot be read; nothing is dropped to go on without it."""

    names = ("record_kind", "record_id", "reason")
    wording = "stored {record_kind} {record_id!r} cannot be read: {reason}"


class AttachmentNotFound(StoreError):
    """No such bytes, or the session holds no reference to them."""

    names = ("attachment_id",)
    wording = "attachment {attachment_id!r} was not found"


class AttachmentIo(StoreError):
    """The bytes could not be read or written."""

    names = ("path", "reason")
    wording = "attachment file {path}: {reason}"


class ManifestRecordFailed(StoreError):
    """The intent could not be recorded, so no bytes were written."""

    names = ("reason",)
    wording = "the attachment intent could not be recorded: {reason}"


class Backend(StoreError):
    """Anything else the backend met."""

    names = ("message",)
    wording = "store backend: {message}"
