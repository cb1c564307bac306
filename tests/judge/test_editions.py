"""Editions are frozen once, and two of them are compared clause by clause."""

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lash_conformance import editions
from lash_conformance.catalogue import EDITION
from lash_conformance.cli import app
from lash_conformance.editions import Edition, EditionFault, Rule, compare, history

DAY = date(2026, 11, 28)


def edition(name: str, **rules: tuple[str, str]) -> Edition:
    """An edition of clauses given as level and words."""
    made = {f"STO.{key[1:]}": Rule(level=level, rule=words, hash=words[:12]) for key, (level, words) in rules.items()}
    return Edition(name=name, frozen="2026-01-01", clauses=made)


def written(folder: Path, made: Edition) -> Path:
    """The edition as a file."""
    rules = {name: {"level": rule.level, "rule": rule.rule, "hash": rule.hash} for name, rule in made.clauses.items()}
    path = folder / f"{made.name}.json"
    path.write_text(json.dumps({"edition": made.name, "frozen": made.frozen, "clauses": rules}), encoding="utf-8")
    return path


OLD = edition("1", c1=("MUST", "stays"), c2=("MUST", "goes"), c3=("MUST", "is said so"), c4=("SHOULD", "is wished"))
NEW = edition("2", c1=("MUST", "stays"), c3=("MUST", "is said better"), c4=("MUST", "is asked"), c5=("MAY", "is new"))


def test_every_kind_of_change_is_told_apart():
    """Added, retired, reworded, and of another level."""
    found = compare(OLD, NEW)

    assert (found.added, found.removed, found.reworded, found.relevelled) == (("STO.5",), ("STO.2",), ("STO.3",), ("STO.4",))
    assert not compare(OLD, OLD).any


def test_a_clause_knows_its_history():
    """From its first edition to its last."""
    told = {name: history(name, (OLD, NEW)) for name in ("STO.1", "STO.2", "STO.3", "STO.4", "STO.5", "STO.6")}

    assert told == {
        "STO.1": [("1", "introduced")],
        "STO.2": [("1", "introduced"), ("2", "retired")],
        "STO.3": [("1", "introduced"), ("2", "reworded")],
        "STO.4": [("1", "introduced"), ("2", "SHOULD became MUST")],
        "STO.5": [("2", "introduced")],
        "STO.6": [],
    }


def test_the_command_compares_two_files(tmp_path: Path):
    """By path, as text with both wordings, and as data."""
    paths = [str(written(tmp_path, made)) for made in (OLD, NEW)]
    text = CliRunner().invoke(app, ["editions", *paths]).output
    data = json.loads(CliRunner().invoke(app, ["editions", *paths, "--json"]).output)

    assert "- STO.3    MUST   is said so\n+ STO.3    MUST   is said better\n" in text
    assert "from 1 to 2: 1 added, 1 removed, 1 reworded, 1 of another level" in text
    assert data == {"before": "1", "after": "2", "added": ["STO.5"], "removed": ["STO.2"], "reworded": ["STO.3"], "relevelled": ["STO.4"]}


def test_an_unknown_edition_is_refused():
    """The answer names what there is."""
    told = CliRunner().invoke(app, ["editions", "1999.01"])

    assert told.exit_code == 2
    assert EDITION in told.output


def test_an_edition_is_frozen_once(tmp_path: Path):
    """The second time only on the word that nobody was given it."""
    editions.freeze(DAY, tmp_path)

    with pytest.raises(EditionFault, match=f"{EDITION} is frozen since 2026-11-28"):
        editions.freeze(DAY, tmp_path)
    editions.freeze(DAY, tmp_path, again=True)
    assert not compare(editions.named(EDITION, tmp_path), editions.current()).any


def test_the_law_is_the_edition_that_it_names():
    """A rule that changes after its edition was frozen belongs to the next one."""
    found = compare(editions.named(EDITION), editions.current())

    assert not found.any, (
        f"the law has left the frozen edition {EDITION}: raise EDITION in lash_conformance.catalogue, or, while nobody "
        f"was given {EDITION}, run `lash-conformance editions --freeze --again`; {found}"
    )
