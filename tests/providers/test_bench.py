"""The measure of reading speed, at a tiny size: that it reads everything, not how fast."""

import json
from pathlib import Path

import pytest

from lash_conformance.fixture import fixtures
from lash_conformance.provider_bench import STREAMS, long_stream, measure, save
from lash_conformance.sdk_clients import named


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pydantic.warnings.PydanticDeprecationWarning")
def test_both_readers_read_every_dialect(tmp_path: Path):
    """A number above zero for each, the same bytes for both, and a plot that names them."""
    speeds = measure(deltas=5, rounds=1)
    save(speeds, tmp_path)
    kept = json.loads((tmp_path / "providers.json").read_text())["speeds"]

    assert [(s.dialect, s.reader) for s in speeds] == [(d, r) for d in STREAMS for r in ("lash-ref", named(d))]
    assert all(speed.events_per_s > 0 and speed.mb_per_s > 0 for speed in speeds)
    assert [row["bytes"] for row in kept[::2]] == [row["bytes"] for row in kept[1::2]]
    assert "lash-ref" in (tmp_path / "providers.svg").read_text()


@pytest.mark.parametrize("dialect", list(STREAMS))
def test_a_long_stream_repeats_one_delta(dialect: str):
    """So many times more, and nothing else."""
    made = fixtures()[STREAMS[dialect]]
    one, frames = long_stream(made, 1)
    ten, more = long_stream(made, 10)

    assert more == frames + 9
    assert (len(ten) - len(one)) % 9 == 0
