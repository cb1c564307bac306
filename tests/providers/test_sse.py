"""The framer reads the same events from the same bytes, however they are cut."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lash_ref.sse import Framer, ServerSentEvent

STREAM = (
    b"event: a\r\ndata: one\r\n\r\n: comment\n\ndata:two\ndata:  lines\n\nid: 3\nretry: 1\n\n"
    b"data: \xe2\x80\xa8 caf\xc3\xa9 \xc2\x85\n\nevent: b\n\ndata: last"
)
EVENTS = [
    ServerSentEvent(b"one", "a"),
    ServerSentEvent(b"two\n lines"),
    ServerSentEvent(b"\xe2\x80\xa8 caf\xc3\xa9 \xc2\x85"),
    ServerSentEvent(b"last"),
]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=30))
def test_any_partition_reads_the_same(cuts: list[int]):
    """CR, LF, code points, fields and the last event may fall on any side of a cut."""
    framer = Framer()
    edges = [0, *sorted(cuts), len(STREAM)]

    found = [event for a, b in itertools.pairwise(edges) for event in framer.feed(STREAM[a:b])]

    assert found + framer.flush() == EVENTS


def test_bare_lines_are_kept_apart():
    """What is no field is no event, and is not lost."""
    framer = Framer()

    assert framer.feed(b'data: x\n\n{\n "error": 1\n}\n') == [ServerSentEvent(b"x")]
    assert framer.flush() == []
    assert b"\n".join(framer.stray) == b'{\n "error": 1\n}'
