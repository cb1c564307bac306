"""New adapters: files that run at once, say that nothing is written yet, and are filled in method by method."""

import inspect
from importlib.resources import files
from pathlib import Path

from lash_conformance.projection import PROTOCOLS, methods
from lash_conformance.wire import HANDLES

LANGUAGES: dict[str, tuple[str, str]] = {
    "python": ("python:adapter:target", "run it where adapter.py is"),
    "node": ("stdio:node adapter.mjs", "Node 18 or later, no dependency"),
    "rust": ("stdio:cargo run --quiet --release", "build it once before, so that the start is not a compilation"),
}
"""How each is judged, and what it needs."""


class ScaffoldFault(Exception):
    """There is no such language, or the folder holds something already."""


def write(language: str, folder: Path) -> list[Path]:
    """Write the adapter's files into an empty folder; answers them.

    Raises:
        ScaffoldFault: nothing was written.
    """
    if language not in LANGUAGES:
        raise ScaffoldFault(f"no scaffold for {language!r}: there are {', '.join(LANGUAGES)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ScaffoldFault(f"{folder} is not an empty folder")
    root = files("lash_conformance") / "templates" / "init" / language
    made: list[Path] = []
    for source in sorted(Path(str(root)).rglob("*.txt")):
        target = folder / source.relative_to(str(root)).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8").replace("{{METHODS}}", _listed(language))
        target.write_text(text, encoding="utf-8")
        made.append(target)
    return made


def _listed(language: str) -> str:
    """Every operation of the contract, in the language's own form."""
    if language == "python":
        return "\n\n".join(_python(family) for family in PROTOCOLS)
    indent = "  " if language == "node" else "    "
    lines = [
        f'{indent}"{family}.{name}", // ({", ".join([HANDLES[family], *_names(family, name)])}) {_summary(family, name)}'
        for family in PROTOCOLS
        for name in methods(family)
    ]
    return "\n".join(lines)


def _names(family: str, name: str) -> list[str]:
    return [given for given in inspect.signature(getattr(PROTOCOLS[family], name)).parameters if given != "self"]


def _summary(family: str, name: str) -> str:
    return (inspect.getdoc(getattr(PROTOCOLS[family], name)) or "").partition("\n")[0]


def _python(family: str) -> str:
    title = {"factory": "Factory", "store": "Store", "attachments": "Attachments"}[family]
    lines = [f"class {title}:", f'    """{PROTOCOLS[family].__name__} of `lash_ref.contracts`."""']
    for name in methods(family):
        given = ", ".join(["self", *_names(family, name)])
        lines += [
            "", f"    async def {name}({given}):", f'        """{_summary(family, name)}"""',
            f'        raise NotImplementedError("{family}.{name} is not written yet")',
        ]  # fmt: skip
    return "\n".join(lines) + "\n"
