"""The report as JUnit XML: what fails is a failure, what broke is an error, what was not judged is skipped."""

from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from lash_conformance.report import CheckReport, Report, rerun
from lash_conformance.shown import shortened, visible


def _case(report: Report, check: CheckReport) -> TestCase:
    case = TestCase(check.id, classname=f"lash.{check.clauses[0].partition('.')[0]}", time=check.total_s)
    match check.verdict:
        case "pass":
            return case
        case "not-applicable" | "known-failure":
            result = Skipped(visible(f"{check.verdict}: {check.reason}"))
        case "fail":
            sides = f"expected {check.expected}; found {check.found}" if check.expected and check.found else check.reason
            result = Failure(visible(check.note or shortened(sides, 400)), "fail")
        case "unknown" | "error" | "not-run":
            result = Error(visible(check.reason or check.verdict), check.verdict)
    trace = (f"{number} {line}" for number, line in enumerate(check.lines, start=1))
    rules = (f"{clause.id}: {clause.rule}" for clause in report.clauses if clause.id in check.clauses[:1])
    result.text = visible("\n".join((*rules, check.claim, *trace, rerun(check, report))))
    case.result = [result]
    return case


def save(report: Report, path: Path) -> None:
    """Write one suite an area; problems besides the checks are errors of a suite of their own."""
    xml = JUnitXml(f"lash-conformance {report.target.name}")
    for area in report.areas:
        suite = TestSuite(area.area)
        for check in report.checks:
            if check.clauses[0].startswith(area.area + "."):
                suite.add_testcase(_case(report, check))
        xml.add_testsuite(suite)
    if report.problems or report.exit_code:
        suite = TestSuite("run")
        for number, problem in enumerate(report.problems or (report.advice,), start=1):
            case = TestCase(f"run-{number}", classname="lash.run")
            case.result = [Error(visible(problem), report.outcome)]
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    xml.update_statistics()
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.write(str(path), pretty=True)
