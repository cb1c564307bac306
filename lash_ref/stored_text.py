"""Records as the JSON text that SQL backends keep.

A record and its text never change, so what was lately written or read is not parsed again: a head, a lease and
a ledger entry are written by one commit and read by the next. A text that is not known to the byte is parsed.
"""

from collections import OrderedDict
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from lash_ref.errors import UnreadableRecord
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.nodes import SessionNodeRecord
from lash_ref.records import HEAD_SCHEMA_VERSION, SessionHeadMeta
from lash_ref.rows import LeaseRow
from lash_ref.scalars import Record
from lash_ref.usage import TokenLedgerEntry
from lash_ref.versions import versioned

R = TypeVar("R", bound=Record)

KEPT: Final = 512
"""How many texts are known at a time."""
_REREAD: Final = (SessionHeadMeta, LeaseRow, LeaseOwnerIdentity, TokenLedgerEntry)

_known: OrderedDict[tuple[type[Record], bytes], Record] = OrderedDict()
_NODE: TypeAdapter[SessionNodeRecord] = TypeAdapter(SessionNodeRecord)


def written(record: Record) -> str:
    """The text of a record."""
    text = record.to_json()
    if type(record) in _REREAD:
        _keep(record, text.encode())
    return text


def _exact(data: Any) -> bytes:
    """The bytes of a text; of what is none, what no text has."""
    if isinstance(data, str):
        return data.encode("utf-8", "surrogatepass")
    return data if isinstance(data, bytes) else b""


def _keep(record: Record, text: bytes) -> None:
    _known[type(record), text] = record
    if len(_known) > KEPT:
        _known.popitem(last=False)


def read(kind: type[R], data: Any, stored_as: str, record_id: Any) -> R:
    """The record that a text holds; ``data`` is text, or bytes that should be text.

    Raises:
        UnreadableRecord: it holds none.
    """
    known = _known.get((kind, _exact(data)))
    if isinstance(known, kind):
        return known
    try:
        record = kind.model_validate_json(data)
    except (ValidationError, TypeError) as err:
        raise UnreadableRecord(stored_as, shown(record_id), _first(err)) from err
    if kind in _REREAD:
        _keep(record, _exact(data))
    return record


def read_head(data: Any, session_id: Any) -> SessionHeadMeta:
    """The head that a text holds.

    Raises:
        UnreadableRecord: it holds none; or the errors of `versioned`.
    """
    known = _known.get((SessionHeadMeta, _exact(data)))
    if isinstance(known, SessionHeadMeta):
        return known
    return versioned(SessionHeadMeta, data, HEAD_SCHEMA_VERSION, "head", shown(session_id))


def read_node(data: Any, node_id: Any) -> SessionNodeRecord:
    """The node that a text holds.

    Raises:
        UnreadableRecord: it holds none.
    """
    try:
        return _NODE.validate_json(data)
    except (ValidationError, TypeError) as err:
        raise UnreadableRecord("node", shown(node_id), _first(err)) from err


def shown(record_id: Any) -> str:
    """An id as text, whatever a backend handed out."""
    return record_id.decode("utf-8", "replace") if isinstance(record_id, bytes) else str(record_id)


def _first(err: ValidationError | TypeError) -> str:
    if isinstance(err, TypeError):
        return "not text"
    fault = err.errors(include_url=False)[0]
    where = ".".join(map(str, fault["loc"])) or "record"
    return f"{where}: {fault['msg']}"
