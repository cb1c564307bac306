"""The report: a pure function of the event log, as JSON with a published schema.

Every other form (HTML, JUnit, terminal) is drawn from it.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from lash_conformance.catalogue import AREAS, Level
from lash_conformance.execute import VERDICTS, Verdict

Outcome = Literal["conforms", "does not conform", "usage", "harness fault", "incomplete"]
OUTCOMES: tuple[Outcome, ...] = (
    "conforms", "does not conform", "usage", "harness fault", "incomplete",
)  # fmt: skip
"""By exit code."""


class Part(BaseModel):
    """Base of the report's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Blow(Part):
    """One line of the crash map: an injected fault, and what was found after it."""

    scene: str
    """What the process was doing."""
    step: int
    """Before which of its durable steps, from 1; one more than there are means after the answer."""
    steps: int
    call: str
    """The system call, and the file."""
    blow: str
    """``killed``, ``power cut``, the errno that the call failed with, or ``watched``."""
    answer: str
    """What the caller was told: ``ok``, a refusal, or nothing."""
    found: str
    """What was found after reopening."""
    fate: str = ""
    """What is wrong with that, in a word; empty when nothing is."""
    told: str = ""
    """The same in a sentence."""


class CheckReport(Part):
    """One check's verdict."""

    id: str
    """Permanent: the first clause and the function's name."""
    clauses: tuple[str, ...]
    """The clauses that it judges."""
    claim: str
    """What the check asserts, in a sentence."""
    kind: str
    """``example``, ``machine``, ``race`` or ``crash``."""
    needs: tuple[str, ...] = ()
    """Capabilities without which it does not apply."""
    verdict: Verdict
    """Only ``pass`` counts."""
    reason: str = ""
    """Why it is no pass."""
    expected: str = ""
    """What the rule asks for, here."""
    found: str = ""
    """What the target did."""
    where: str = ""
    """The line of the check that saw it."""
    note: str = ""
    """What the known-failure list says of it."""
    lines: tuple[str, ...] = ()
    """The trace, one readable line a step."""
    steps: tuple[dict[str, Any], ...] = ()
    """The trace as replayable data."""
    total_s: float = 0.0
    """Seconds, all in all."""
    target_s: float = 0.0
    """Seconds inside the target."""
    crash_map: tuple[Blow, ...] = ()
    """The faults that the crash drill injected for this check."""


class ClauseReport(Part):
    """One clause's verdict: the worst of its checks."""

    id: str
    """Permanent; never used again for another rule."""
    level: Level
    """``MUST``, ``SHOULD`` or ``MAY``."""
    rule: str
    """The words that were judged."""
    page: str
    """The chapter that holds it."""
    verdict: Verdict
    """The worst of its checks; those that do not apply do not count."""
    untested: str = ""
    """Why no check can exist, when none does."""
    checks: tuple[str, ...] = ()
    """The ids of its checks."""


class AreaReport(Part):
    """Verdict counts of an area's clauses."""

    area: str
    """The three letters that its clauses begin with."""
    counts: dict[Verdict, int]
    """Clauses by verdict."""


class TargetReport(Part):
    """The target as it named itself, and as the command line gave it."""

    given: str
    """As the command line named it."""
    name: str
    """As it names itself."""
    version: str
    """As it says."""
    capabilities: tuple[str, ...]
    """What it declares."""


class Report(Part):
    """One judged run."""

    schema_version: Literal[1] = 1
    """Raised when a reader of the old form would misread the new one."""
    suite: str
    """The version of the suite."""
    edition: str
    """The edition of the law."""
    profile: str
    """``store`` or ``host``."""
    seed: int
    """Fixes everything that was generated."""
    select: str
    """The clauses or checks that were asked for; ``*`` is all."""
    target: TargetReport
    """What was judged."""
    environment: dict[str, str]
    """The judge's own Python and system."""
    exit_code: int
    """0 conforms, 1 does not, 2 usage, 3 harness fault, 4 incomplete."""
    outcome: Outcome
    """The exit code in words."""
    advice: str
    """One sentence that says what to do."""
    checks: tuple[CheckReport, ...]
    """Every check, in the order of the spec."""
    clauses: tuple[ClauseReport, ...]
    """Every clause that was selected."""
    areas: tuple[AreaReport, ...]
    """The clauses by area."""
    check_counts: dict[Verdict, int]
    """Checks by verdict."""
    clause_counts: dict[Verdict, int]
    """Clauses by verdict."""
    problems: tuple[str, ...]
    """What is wrong besides failing checks: stale or unknown known failures, missing verdicts."""
    seconds: float
    """Wall time of the run."""
    target_seconds: float
    """Inside the target, in all processes that judged."""
    harness_seconds: float
    """The same for the harness."""

    @property
    def parallel(self) -> bool:
        """Whether more than one process judged, so that times overlap."""
        return self.target_seconds + self.harness_seconds > self.seconds


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst verdict; a clause whose checks all did not apply did not apply itself."""
    counted = [v for v in verdicts if v != "not-applicable"] or verdicts
    return VERDICTS[max(VERDICTS.index(v) for v in counted)]


def build(events: list[dict[str, Any]]) -> Report:
    """The report of a finished log."""
    header, footer = events[0], events[-1]
    checks = tuple(_check(event) for event in events if event["event"] == "check")
    clauses = tuple(_clauses(header["clauses"], checks))
    target_s = sum(check.target_s for check in checks)
    seconds = float(footer["wall"]["seconds"])
    areas = tuple(
        AreaReport(area=area, counts=_counts([c.verdict for c in clauses if c.id.startswith(area + ".")]))
        for area in AREAS
        if any(c.id.startswith(area + ".") for c in clauses)
    )
    return Report(
        suite=header["suite"],
        edition=header["edition"],
        profile=header["profile"],
        seed=header["seed"],
        select=header["select"],
        target=TargetReport(**header["target"]),
        environment=header["environment"],
        exit_code=footer["exit_code"],
        outcome=OUTCOMES[int(footer["exit_code"])],
        advice=footer["advice"],
        checks=checks,
        clauses=clauses,
        areas=areas,
        check_counts=_counts([check.verdict for check in checks]),
        clause_counts=_counts([clause.verdict for clause in clauses]),
        problems=tuple(footer["problems"]),
        seconds=seconds,
        target_seconds=target_s,
        harness_seconds=max(seconds - target_s, sum(check.total_s - check.target_s for check in checks)),
    )


def _check(event: dict[str, Any]) -> CheckReport:
    facts = {key: value for key, value in event.items() if key not in ("event", "wall")}
    return CheckReport(**facts, **event["wall"])


def _clauses(known: dict[str, dict[str, Any]], checks: tuple[CheckReport, ...]) -> list[ClauseReport]:
    by_clause: dict[str, list[CheckReport]] = {}
    for check in checks:
        for clause in check.clauses:
            by_clause.setdefault(clause, []).append(check)
    made: list[ClauseReport] = []
    for clause_id, facts in known.items():
        mine = by_clause.get(clause_id, [])
        if not mine and not facts["selected"]:
            continue
        verdict: Verdict = worst([check.verdict for check in mine]) if mine else "not-run"
        if not mine and facts["untested"]:
            verdict = "not-applicable"
        one = ClauseReport(
            id=clause_id, verdict=verdict, checks=tuple(check.id for check in mine),
            level=facts["level"], rule=facts["rule"], page=facts["page"], untested=facts["untested"],
        )  # fmt: skip
        made.append(one)
    return made


def _counts(verdicts: list[Verdict]) -> dict[Verdict, int]:
    counter: Counter[Verdict] = Counter(verdicts)
    return {verdict: counter[verdict] for verdict in VERDICTS if counter[verdict]}


def verdict_of(events: list[dict[str, Any]], problems: list[str], capabilities: set[str]) -> tuple[int, str]:
    """Exit code and the sentence that says what to do, from a log without its footer.

    Never 0 for nothing: at least one check must have passed, every selected MUST must have a verdict, and
    every declared capability that a check can ask for must have one that passed.
    """
    checks = [event for event in events if event["event"] == "check"]
    clauses = events[0]["clauses"]

    def is_must(event: dict[str, Any]) -> bool:
        return any(clauses[c]["level"] == "MUST" for c in event["clauses"] if c in clauses)

    red = [e for e in checks if e["verdict"] in ("fail", "error") and is_must(e)]
    if red or problems:
        own = [event for event in red if event.get("kind") != "machine"] or red
        most = Counter(event["clauses"][0] for event in own).most_common(1)
        start = f"Start with `lash-conformance explain {most[0][0]}`." if most else "Correct the list of known failures."
        return 1, f"Does not conform: {len(red)} checks of a MUST fail, {len(problems)} other problems. {start}"
    passed = [e for e in checks if e["verdict"] == "pass"]
    if not passed:
        return 4, "Incomplete: no check passed, so nothing is known; check the selection and the target."
    open_ = [e for e in checks if e["verdict"] in ("not-run", "unknown") and is_must(e)]
    covered = {c for e in checks for c in e["clauses"]}
    missing = [
        c for c, facts in clauses.items()
        if facts["level"] == "MUST" and facts["selected"] and c not in covered and not facts["untested"]
    ]  # fmt: skip
    if open_ or missing:
        named = ", ".join([e["id"] for e in open_][:3] + missing[:3])
        return 4, f"Incomplete: {len(open_) + len(missing)} MUSTs have no verdict ({named}); run again or report it."
    # a capability whose every check asks for another one, undeclared, cannot be shown and is not held against the target
    asked = {need for e in checks if capabilities.issuperset(e["needs"]) for need in e["needs"]}
    unshown = sorted((capabilities & asked) - {need for e in passed for need in e["needs"]})
    if unshown and events[0]["select"] == "*":
        return 4, f"Incomplete: no passing check shows the declared {', '.join(unshown)}; declare less, or report it."
    known = sum(e["verdict"] == "known-failure" for e in checks)
    if known:
        return 0, f"Conforms but for {known} known failures; they expire, so mend them in time."
    return 0, "Conforms: every check that applies passes; keep the report with your release."


@dataclass(frozen=True)
class Alike:
    """Red checks that found the same, and so perhaps one cause."""

    found: str
    checks: tuple[CheckReport, ...]


def alike(report: Report) -> list[Alike]:
    """The failing and erring checks by the first line of what they found, in the order of the spec."""
    groups: dict[str, list[CheckReport]] = {}
    for check in report.checks:
        if check.verdict in ("fail", "error"):
            groups.setdefault((check.found or check.reason).partition("\n")[0], []).append(check)
    return [Alike(found, tuple(checks)) for found, checks in groups.items()]


def found_most(report: Report, shown: int = 8) -> list[Alike]:
    """What more than one check found, the most frequent first; a bare value may have any cause."""
    several = [one for one in alike(report) if len(one.checks) > 1 and " " in one.found]
    return sorted(several, key=lambda one: -len(one.checks))[:shown]


def searches(report: Report) -> str:
    """How many clauses failed by a search alone, which tells less about each than a check of its own; empty for none."""
    red = [check for check in report.checks if check.verdict in ("fail", "error")]
    shown = {clause for check in red if check.kind != "machine" for clause in check.clauses}
    only = {clause for check in red if check.kind == "machine" for clause in check.clauses} - shown
    return f"{len(only)} of these clauses fail only because a randomised search that covers them failed; start with the others" if only else ""


def rerun(check: CheckReport, report: Report) -> str:
    """The command that judges one check again, as it was judged."""
    profile = "" if report.profile == "store" else f"--profile {report.profile} "
    return f"lash-conformance run {profile}--target {quote(report.target.given)} --select {quote(check.id)} --seed {report.seed}"


def schema() -> dict[str, Any]:
    """The JSON Schema of the report."""
    return Report.model_json_schema(mode="serialization")


def save(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Report:
    """Read a report written by `save`."""
    return Report.model_validate_json(path.read_text(encoding="utf-8"))
