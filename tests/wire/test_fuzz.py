"""Whatever a target writes, the judge reads it or says what is wrong; nothing else is ever raised."""

import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lash_conformance.connection import Connection, parsed
from lash_conformance.projection import PROTOCOLS, methods
from lash_conformance.store_calls import read_answer
from lash_conformance.target import Bounds, TargetBroke
from lash_conformance.wire import Fault, Malformed, raised, read_line, refusals

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["2.0", "store", 1]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text() | st.sampled_from(["id", "jsonrpc", "result", "error", "code", "data", "fields"]), inner, max_size=5),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | JSON},
    optional={"id": st.integers() | JSON, "result": JSON, "error": JSON | st.fixed_dictionaries({"code": st.integers(), "message": st.text()})},
)
LINES = st.binary(max_size=200) | NEARLY.map(lambda data: json.dumps(data).encode()) | st.text().map(lambda t: t.encode("utf-8", "replace"))
SLOW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(LINES)
def test_any_line_is_an_answer_or_malformed(line: bytes):
    """Bytes, text, and objects that are nearly answers."""
    with contextlib.suppress(Malformed):
        answer = parsed(line)
        assert answer.jsonrpc == "2.0"
        assert answer.id is None or answer.id >= 1


@SLOW
@given(JSON, st.sampled_from([(family, name) for family in PROTOCOLS for name in methods(family)]))
def test_any_result_is_read_or_malformed(data: Any, method: tuple[str, str]):
    """For every method of the contract."""
    with contextlib.suppress(Malformed):
        read_answer(*method, data)


@SLOW
@given(
    st.integers(-3, 5),
    st.none() | st.dictionaries(st.text(), JSON)
    | st.fixed_dictionaries({"error": st.sampled_from(sorted(refusals())) | st.text(), "fields": st.dictionaries(st.text(), JSON)}),
)  # fmt: skip
def test_any_error_stands_for_an_exception_or_is_malformed(code: int, data: Any):
    """Whatever its code and data."""
    with contextlib.suppress(Malformed):
        assert isinstance(raised(Fault(code=code, message="", data=data)), Exception)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(min_size=1, max_size=60) | NEARLY.map(lambda d: json.dumps(d).encode() + b"\n"), min_size=1, max_size=4))
def test_any_output_of_a_process_ends_in_a_fault(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]):
    """Written in pieces by a real process that then ends: the request is answered by a fault, in time."""
    said: Path = tmp_path_factory.mktemp("said") / "bytes"
    said.write_bytes(b"\n".join(chunks))
    script = f"import sys; sys.stdin.readline(); sys.stdout.buffer.write(open({str(said)!r}, 'rb').read())"
    connection = Connection(f'{shlex.quote(sys.executable)} -S -E -c "{script}"', Bounds(call_s=60))
    try:
        with contextlib.suppress(Exception):
            connection.request("smoke", {"value": 1}).result(60)
        assert connection.child.ended.wait(60)
        assert isinstance(connection.fault, TargetBroke)
    finally:
        connection.kill("the test is over")


@pytest.mark.parametrize("line", [b"", b"nul\0l", b'"\\ud800"', b"1e999", b"9" * 5000, b"[" * 5000, b'{"a":1}{"b":2}', b"\xef\xbb\xbf{}"])
def test_lines_that_broke_readers_before_are_refused(line: bytes):
    """Surrogates, infinities, endless numbers, depth, two texts on a line, a byte order mark."""
    with pytest.raises(Malformed):
        parsed(line)


def test_the_largest_integers_are_read_exactly():
    """And so are those that no record may hold."""
    assert read_line(b"[9223372036854775807,-9223372036854775808,18446744073709551616]") == [2**63 - 1, -(2**63), 2**64]
