"""A run over the wire gives, check by check, the verdicts of the run in process."""

from pathlib import Path

import pytest

from lash_conformance import report, run, search
from lash_conformance.check import all_checks
from lash_conformance.target import load

SERVE = "stdio:lash-conformance serve --target sqlite"
UNCARRIABLE = {
    "REC.2:an_identifier_with_a_lone_surrogate_is_refused": "a lone surrogate",
    "REC.3:nan_and_infinities_are_refused": "the opaque value NaN",
}
"""What JSON has no form for: these checks do not apply to a target out of process."""


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch):
    """Searches of a few examples: their verdicts are compared, not their depth."""
    monkeypatch.setattr(search, "DEFAULT", search.Scale(examples=4, steps=10))


def verdicts(name: str, folder: Path) -> tuple[dict[str, tuple[str, str]], report.Report]:
    """Verdict and reason by check, of everything but the wire's own checks and the crash drill."""
    kinds = ("example", "machine", "race")
    chosen = [check.id for check in all_checks("store") if check.kind in kinds and not check.id.startswith("WIR.")]
    with (folder / f"{name.partition(':')[0]}.jsonl").open("w") as stream:
        made = run.judge(run.Options(target_name=name, target=load(name), select=",".join(chosen)), stream)
    found = {check.id: (check.verdict, check.reason) for check in made.checks}
    return found, made


@pytest.mark.long(90)
def test_sqlite_over_the_wire_is_judged_as_in_process(tmp_path: Path, briefly: None):
    """Examples, machines and races; what differs is named, and is what JSON cannot carry."""
    inside, _ = verdicts("sqlite", tmp_path)
    outside, made = verdicts(SERVE, tmp_path)

    differing = {check: found for check, found in outside.items() if found[0] != inside[check][0]}
    assert set(outside) == set(inside)
    assert {check: reason for check, (_, reason) in differing.items()} == {
        check: f"JSON cannot carry {what}" for check, what in UNCARRIABLE.items()
    }
    assert {verdict for verdict, _ in differing.values()} == {"not-applicable"}
    assert sum(verdict == "pass" for verdict, _ in outside.values()) > 350
    assert {check.kind for check in made.checks if check.verdict == "pass"} == {"example", "machine", "race"}
    assert made.exit_code == 0, made.advice
