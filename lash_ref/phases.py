"""Phases of an answer: commentary is said while a model works, the final answer is what was asked for."""

from collections.abc import Iterable

from lash_ref.scalars import Json


def visible(texts: Iterable[tuple[str, Json | None]]) -> str:
    """The texts of an answer with what its provider said of each; commentary only where there is no final answer ([PRV.91][])."""
    told = [(text, phase(meta)) for text, meta in texts]
    final = any(text and said == "final_answer" for text, said in told)
    return "".join(text for text, said in told if not final or said != "commentary")


def phase(meta: Json | None) -> str | None:
    """The phase that a text's provider data names, in small letters."""
    value = meta.value if meta is not None else None
    said = value.get("phase") if isinstance(value, dict) else None
    return said.lower() if isinstance(said, str) else None
