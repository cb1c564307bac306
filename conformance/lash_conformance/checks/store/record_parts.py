"""Parts of records that are checked where they enter (REC.15 to REC.18)."""

import contextlib

from lash_conformance.bench import Bench
from lash_conformance.check import check
from lash_conformance.checks.store.records import codec_of
from lash_ref.errors import InvalidRecord
from lash_ref.records import AttachmentCreateMeta, ModelSpec
from lash_ref.scalars import Record
from lash_ref.work import ProtocolTurnOptions


def _refused(bench: Bench, kind: type[Record], *given: dict[str, object]) -> list[str]:
    """The member at fault of each of ``given`` that is refused."""
    found: list[str] = []
    for data in given:
        with contextlib.suppress(InvalidRecord):
            codec_of(bench).read(kind, data)
            continue
        found.append(str(data))
    return found


@check("REC.15")
async def a_media_type_is_a_type_and_a_subtype(bench: Bench) -> None:
    """Not one word, three, a parameter, or nothing on one side."""
    wrong: list[dict[str, object]] = [
        {"media_type": text} for text in ("png", "image/", "/png", "image/png/x", "text/plain; charset=x", "a b/c", "")
    ]

    assert _refused(bench, AttachmentCreateMeta, *wrong) == [str(data) for data in wrong]
    assert _refused(bench, AttachmentCreateMeta, {"media_type": "application/vnd.a+json"}) == []


@check("REC.16")
async def a_media_type_is_kept_in_small_letters(bench: Bench) -> None:
    """Spaces around it are dropped."""
    made = codec_of(bench).read(AttachmentCreateMeta, {"media_type": " Image/PNG "})

    assert made.to_data() == {"media_type": "image/png"}


@check("REC.17")
async def turn_options_of_another_version_are_refused(bench: Bench) -> None:
    """None, two and none at all; the version left out is 1."""
    wrong: list[dict[str, object]] = [{"schema_version": version, "payload": {}} for version in (0, 2, 2**32)]

    assert _refused(bench, ProtocolTurnOptions, *wrong) == [str(data) for data in wrong]
    assert _refused(bench, ProtocolTurnOptions, {"payload": {"a": 1}}, {"schema_version": 1, "payload": {}}) == []


@check("REC.18")
async def a_model_variant_is_one_of_three(bench: Bench) -> None:
    """Another word, an effort beside something else, a number."""
    limits = {"context_window_tokens": 1}

    def spec(variant: object) -> dict[str, object]:
        return {"id": "m", "limits": limits, "variant": variant}

    wrong = [spec(variant) for variant in ("high", {"effort": "high", "x": 1}, {"effort": 3}, {}, 7)]
    right = [spec(variant) for variant in ("provider_default", "disabled", {"effort": "high"})]

    assert _refused(bench, ModelSpec, *wrong) == [str(data) for data in wrong]
    assert _refused(bench, ModelSpec, *right) == []
