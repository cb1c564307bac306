"""The law is complete: every inventory row is reached, every rule has its check, every check its rule."""

import json
import re
from pathlib import Path

import pytest

from lash_conformance import catalogue
from lash_conformance.catalogue import CatalogueFault, clauses, seed_apis, spec_directory
from lash_conformance.check import all_checks
from lash_conformance.explain import implementations
from lash_conformance.mutants import all_mutants


def test_every_store_row_is_reached_by_a_clause_or_a_ruling():
    """S1 to S265, each by a clause's source or a line of the rulings."""
    rows = _rows("S")

    assert len(rows) == 265
    assert rows - _reached(spec_directory()) == set()


def test_every_plugin_row_is_reached_by_a_clause_or_a_ruling():
    """P1 to P149, each by a clause or a ruling."""
    rows = _rows("P")

    assert len(rows) == 149
    assert rows - _reached(spec_directory()) == set()


def _rows(letter: str) -> set[str]:
    rows = (spec_directory() / "rows.txt").read_text().split()
    return {row for row in rows if re.fullmatch(rf"{letter}\d+", row)}


def _reached(directory: Path) -> set[str]:
    lines = re.findall(r"^- \*\*([A-Z]+\d+(?:, [A-Z]+\d+)*)\*\*:", (directory / "rulings.md").read_text(), re.MULTILINE)
    ruled = {row for line in lines for row in line.split(", ")}
    return ruled | {row for clause in clauses().values() for row in clause.sources}


def test_every_host_row_is_reached_by_a_clause_or_a_ruling():
    """HA1 to HK20, by a clause or by a line of the rulings."""
    rows = {r for r in (spec_directory() / "rows.txt").read_text().split() if re.fullmatch(r"H[A-K]\d+", r)}
    rulings = (spec_directory() / "rulings.md").read_text()
    reached = {row for clause in clauses().values() for row in clause.sources}
    reached |= set(re.findall(r"^- \*\*(H[A-K]\d+)\*\*", rulings, re.MULTILINE))

    assert len(rows) == 227
    assert rows - reached == set()


def test_every_gap_and_fixture_of_providers_is_reached_by_a_clause_or_a_ruling():
    """VG1 to VG24 and VF1 to VF44."""
    gaps, cases = _rows("VG"), _rows("VF")

    assert (len(gaps), len(cases)) == (24, 44)
    assert (gaps | cases) - _reached(spec_directory()) == set()


def test_every_api_of_the_seeds_is_reached_by_a_clause():
    """Or by a line of the rulings that says why not."""
    reached = {seed for clause in clauses().values() for seed in clause.seeds}
    rulings = (spec_directory() / "rulings.md").read_text()
    reached |= set(re.findall(r"^- \*\*(s[0-4]\.\d+)\*\*", rulings, re.MULTILINE))

    assert len(seed_apis()) == 93
    assert {seed.id for seed in seed_apis()} - reached == set()


def test_no_clause_names_a_row_that_does_not_exist():
    """A source is a row of the inventory."""
    rows = set((spec_directory() / "rows.txt").read_text().split())

    unknown = {row for clause in clauses().values() for row in clause.sources if row.startswith("S")} - rows

    assert unknown == set()


def test_every_must_has_a_check_or_a_reason():
    """No rule without evidence."""
    judged = {clause for check in all_checks() for clause in check.clauses}

    missing = [c.id for c in clauses().values() if c.level == "MUST" and c.id not in judged and not c.untested]

    assert missing == []


def test_every_check_and_mutant_names_known_clauses():
    """A citation that leads nowhere is a mistake."""
    known = set(clauses())
    cited = {clause for check in all_checks() for clause in check.clauses}
    cited |= {clause for mutant in all_mutants() for clause in mutant.clauses}

    assert cited - known == set()


def test_every_citation_in_the_reading_leads_to_a_clause():
    """Docstrings of `lash_ref` cite rules that exist."""
    assert {clause for clause in implementations() if clause not in clauses()} == set()


def test_rule_texts_were_read_again_when_they_changed():
    """The hash of every rule is the one its checks were last confirmed against."""
    confirmed = json.loads((spec_directory() / "confirmed.json").read_text())

    assert confirmed == {clause.id: clause.text_hash for clause in clauses().values()}


def test_check_ids_are_unique_and_claims_are_sentences():
    """A check is known by its first clause and its name."""
    checks = all_checks()

    assert len({check.id for check in checks}) == len(checks)
    assert [check.id for check in checks if not check.claim.endswith(".")] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#### STO.1 { #STO.1 .clause }\n\n> A store does things.\n\n*Source.* S1\n", "0 keywords"),
        ("#### STO.1 { #STO.1 .clause }\n\n> It **MUST** and **MAY**.\n\n*Source.* S1\n", "2 keywords"),
        ("#### STO.1 { #STO.2 .clause }\n\n> It **MUST**.\n\n*Source.* S1\n", "not a clause heading"),
        ("#### XYZ.1 { #XYZ.1 .clause }\n\n> It **MUST**.\n\n*Source.* S1\n", "not a clause heading"),
        ("#### STO-1 { #STO-1 .clause }\n\n> It **MUST**.\n\n*Source.* S1\n", "not a clause heading"),
        ("#### STO.1 { #STO.1 .clause }\n\n> It **MUST**.\n", "no source"),
        ("#### STO.1 { #STO.1 .clause }\n\n> It **MUST**.\n\n*Source.* S1\n" * 2, "defined twice"),
    ],
)
def test_a_page_that_breaks_the_form_is_refused(tmp_path: Path, text: str, fault: str):
    """The fault is named with its page and line."""
    (tmp_path / "page.md").write_text(text)

    with pytest.raises(CatalogueFault, match=f"page.md:.*{fault}"):
        catalogue.read(tmp_path)


def test_a_rule_leads_to_the_code_that_keeps_it():
    """All but those of wires and replayers, which the judge keeps, and those whose broken implementations stand outside the reading."""
    found = implementations()

    assert found["STO.1"][0].startswith("lash_ref/reads.py:")
    assert found["QUE.1"][0].startswith("lash_ref/queue.py:")
    assert sorted(c for c in clauses() if c not in found and c[:3] not in {"WIR", "HST", "RPL"}) == [
        "ATT.18", "ATT.19", "ATT.20", "ATT.21", "ATT.29", "ATT.31", "ATT.32", "ATT.33", "BLD.12", "BLD.9", "CAN.19", "FAC.12",
        "FRM.6", "LEA.24", "OBS.11", "QUE.9", "REC.17", "SES.23", "SNP.12", "SNP.61", "SNP.62", "SNP.64", "STA.20", "STO.73",
        "STO.80", "STO.83", "STO.86", "STO.88", "STO.89", "TOO.2",
    ]  # fmt: skip
