"""The page that tells what the comparisons with real lash found."""

from collections import Counter
from fnmatch import fnmatchcase
from typing import Any

FAILING = ("fail", "error", "known-failure", "unknown")


def written(found: dict[str, Any], explained: dict[str, Any]) -> tuple[str, list[str]]:
    """The page as Markdown, and what is not as explained."""
    problems: list[str] = []
    parts = [
        head(found["made"]),
        ours(found["ours"], explained["ruled"], problems),
        judged(STORES, found["judged"], explained["divergence"], problems),
        judged(HOSTS, found["hosts"], explained["host"], problems),
        vectors(found["vectors"], explained.get("record", []), problems),
    ]
    return "\n".join(parts), problems


def head(made: dict[str, Any]) -> str:
    """What was compared, and when."""
    crates = ", ".join(f"`{name}` {version}" for name, version in made["crates"].items())
    return f"""# Real lash

Written by `make upstream` on {made["date"]}, with lash-conformance {made["lash_conformance"]} and {made["rust"]}.
The crates are {crates}, from crates.io.

Two suites meet here.
This project's suite judges the three stores of real lash and its runtime, through the adapter in `conformance/adapters/lash-rust`.
lash's own suite (`lash_core::testing::conformance`) judges the three stores of this project, through a bridge in the same crate.
Where the two disagree the page says who is right and why.
The JSON files beside this page hold every verdict.
"""


def ours(suites: dict[str, Any], ruled: list[dict[str, Any]], problems: list[str]) -> str:
    """What the suite of lash says of this project's stores."""
    lines = [
        "## lash's suite on the stores of this project",
        "",
        "| store | suite | lease | pass | fail | not run | stopped at |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for store, told in suites.items():
        for suite in told["suites"]:
            counts = Counter(case["verdict"] for case in suite["cases"])
            failed = [case["case"] for case in suite["cases"] if case["verdict"] == "fail"]
            stop = ", ".join(f"`{case}`" for case in failed) or "-"
            lines.append(
                f"| {store} | `{suite['suite']}` | {suite['lease']} | {counts['pass']} | {counts['fail']}"
                f" | {counts['not-run']} | {stop} |"
            )
            allowed = {one["case"] for one in ruled if one["lease"] == suite["lease"]}
            problems += [f"{store}: {case} fails ({suite['reason']})" for case in failed if case not in allowed]
    lines += ["", "A suite of lash stops at its first failure; what comes after is not run.", ""]
    lines += [
        "The suite runs twice.",
        "*strict* passes every commit on unchanged.",
        "*advisory* makes each commit under the live lease, or a fresh one, as 0.1.0-alpha.113 does: this shows everything after the two differences that are ruled on below.",
        "",
        "Differences that were ruled on (the spec keeps its rule):",
        "",
    ]
    lines += [f"- `{one['case']}` ({one['lease']}): {one['told']}" for one in ruled]
    return "\n".join(lines) + "\n"


STORES = (
    "## This suite on the stores of lash", "store",
    "The checks that kill a process at a counted write are left out: lash's runtime wakes its threads by writes, so the number of writes differs from run to run.",
)  # fmt: skip
HOSTS = (
    "## This suite on the runtime of lash", "effects",
    """lash's facade (`lash-runtime`) with its standard protocol runs behind the host wire, over its own SQLite store: *inline* with its effect host in memory, which commits a turn's progress too, and *durable* with its effect host in SQLite, which commits a turn once.
It declares neither the graph, which the facade keeps to itself, nor children, recording, helpers, processes, triggers, providers, replay nor RLM mode, so the checks of these do not apply.""",
)  # fmt: skip


def judged(
    words: tuple[str, str, str], reports: dict[str, Any], divergences: list[dict[str, Any]], problems: list[str]
) -> str:
    """This project's suite on lash's stores, or on its runtime."""
    title, kind, told = words
    verdicts = ("pass", "known-failure", "fail", "error", "not-applicable")
    lines = [
        title,
        "",
        f"| {kind} | {' | '.join(verdicts)} |",
        f"| --- |{' --- |' * len(verdicts)}",
    ]
    for store, report in reports.items():
        counts = Counter(check["verdict"] for check in report["checks"])
        lines.append(f"| {store} | {' | '.join(str(counts[verdict]) for verdict in verdicts)} |")
        problems += [f"{store}: {problem}" for problem in report["problems"]]
        if report["exit_code"] > 1:
            problems.append(f"{store}: the run ended with {report['exit_code']}")
    lines += ["", told]
    lines += ["", "Each failing check is explained below; the list of known failures of each is shipped beside the adapter.", ""]
    failing = {
        (store, check["id"]): check
        for store, report in reports.items()
        for check in report["checks"]
        if check["verdict"] in FAILING
    }
    for one in divergences:
        mine = {key: check for key, check in failing.items() if any(fnmatchcase(key[1], shape) for shape in one["checks"])}
        mine = {key: check for key, check in mine.items() if key[0] in one.get("stores", [key[0]])}
        if not mine:
            problems.append(f"explained, but nothing fails: {one['title']}")
            continue
        failing = {key: check for key, check in failing.items() if key not in mine}
        lines += [f"### {one['title']}", "", one["told"].strip(), "", *table(mine), ""]
    if failing:
        lines += ["### Not explained", "", *table(failing), ""]
        problems += [f"{store}: {check} fails and is not explained" for store, check in sorted(failing)]
    return "\n".join(lines)


def table(failing: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    """Checks by id, with the stores that fail them."""
    stores: dict[str, list[str]] = {}
    for store, check in failing:
        stores.setdefault(check, []).append(store)
    return [f"- `{check}` ({', '.join(stores[check])})" for check in sorted(stores)]


def vectors(found: list[dict[str, Any]], explained: list[dict[str, Any]], problems: list[str]) -> str:
    """The wire's valid vectors through lash's types."""
    counts = Counter(one["outcome"] for one in found)
    lines = [
        "## The wire's records through lash's types",
        "",
        "Every valid vector of `fixtures/wire` is read by lash's own serde type and written again; nulls and empty lists, which either side may leave out, do not count.",
        "",
        "| same | changed | refused | lash has no such type |",
        "| --- | --- | --- | --- |",
        f"| {counts['same']} | {counts['changed']} | {counts['refused']} | {counts['no-type']} |",
        "",
    ]
    told = {one["record"]: one["told"] for one in explained}
    for one in found:
        if one["outcome"] in ("same", "no-type"):
            continue
        reason = told.get(one["record"])
        if reason is None:
            problems.append(f"vector {one['name']} of {one['record']}: {one['outcome']} {one['value']!r:.200}")
        lines.append(f"- `{one['name']}` ({one['record']}): {one['outcome']}. {reason or 'Not explained.'}")
    return "\n".join(lines) + "\n"
