"""`make upstream`: real lash under this suite, this project's stores under lash's suite, and records through lash's types.

Builds the crate beside this file, runs all comparisons and writes what was found to ``docs/results``.
With ``--only hosts`` lash's runtime is judged, and what was found of the rest is taken from there.
Exits with 1 when a failing check has no explanation in ``divergences.toml``, when lash fails otherwise than its
list of known failures says, or when one of this project's stores fails a case of lash that nobody ruled on.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from page import written

from lash_conformance import known, stored_results
from lash_conformance.check import all_checks
from lash_conformance.targets.postgres_server import Server
from lash_ref import __version__

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RESULTS = ROOT / "docs" / "results"
STORES = ("memory", "sqlite", "postgres")
HOSTS = {"inline": "host", "durable": "host durable"}
"""How lash's runtime is started: with effects in memory, or kept in SQLite."""
AREAS = ("REC", "GRA", "STO", "LEA", "QUE", "INP", "MNT", "ATT", "FAC", "WIR")
SYNCED = ("STO.84:", "STO.85:", "ATT.43:", "ATT.41:an_id_never_names_bytes_cut_short_by_a_power_cut")
KEPT = ("id", "clauses", "claim", "kind", "verdict", "reason", "note")
VECTORS = ROOT / "fixtures" / "wire" / "records"
PAGE = "docs/results/upstream.md"


def main() -> int:
    """Run it all; 0 when everything is as explained."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--renew", action="store_true", help="rewrite the lists of known failures from this run")
    options.add_argument("--only", choices=("hosts",), help="judge lash's runtime, and take the rest from what was kept")
    chosen = options.parse_args()
    binary = built()
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lash-upstream-") as scratch:
        results = {} if chosen.only else stores(binary, Path(scratch), renew=chosen.renew)
        results |= {f"lash-host-{effects}": host(binary, effects, Path(scratch), renew=chosen.renew) for effects in HOSTS}
    versions = made()
    for name, data in results.items():
        told = json.dumps(versions | {"found": data}, indent=1, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(told + "\n", encoding="utf-8")
    found = {
        "made": versions, "judged": {store: kept(f"lash-{store}") for store in STORES}, "ours": kept("suite"),
        "vectors": kept("vectors"), "hosts": {effects: kept(f"lash-host-{effects}") for effects in HOSTS},
    }  # fmt: skip
    explained = {
        key: entries
        for name in ("divergences.toml", "divergences-host.toml")
        for key, entries in tomllib.loads((HERE / name).read_text(encoding="utf-8")).items()
    }
    text, problems = written(found, explained)
    (ROOT / PAGE).write_text(text, encoding="utf-8")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{PAGE} written: {'all as explained' if not problems else f'{len(problems)} problems'}")
    return 1 if problems else 0


def kept(name: str) -> Any:
    """What was found and is kept under a name."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["found"]


def stores(binary: Path, scratch: Path, *, renew: bool) -> dict[str, Any]:
    """Stores under both suites, and records through lash's types, by the name of what is kept."""
    server = Server()
    try:
        return {
            **{f"lash-{store}": lash(binary, store, server, scratch, renew=renew) for store in STORES},
            "suite": {store: bridged(binary, store, server, scratch) for store in STORES},
            "vectors": rewritten(binary),
        }
    finally:
        server.stop()


def built() -> Path:
    """The crate's program; built outside the repository, so that nothing of it is ever committed."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(os.environ.get("CARGO_TARGET_DIR") or Path(cache) / "lash-ref" / "upstream")
    command = ["cargo", "build", "--locked", "--quiet", "--manifest-path", str(HERE / "Cargo.toml")]
    subprocess.run(command, check=True, env=os.environ | {"CARGO_TARGET_DIR": str(place)})
    return place / "debug" / "lash-upstream"


def made() -> dict[str, Any]:
    """Versions and date."""
    locked = tomllib.loads((HERE / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    lash = {one["name"]: one["version"] for one in locked if one["name"].startswith("lash-") and "source" in one}
    asked = ["rustc", "--version"]  # the one that cargo has just used
    rust = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.now(UTC).date().isoformat(), "lash_conformance": __version__, "rust": rust, "crates": lash,
    }  # fmt: skip


def conformance(*words: str) -> list[str]:
    """This suite's command."""
    return [sys.executable, "-m", "lash_conformance", *words]


def lash(binary: Path, store: str, server: Server, scratch: Path, *, renew: bool) -> dict[str, Any]:
    """Real lash's store under this suite, in the light of its list of known failures."""
    url = f"postgres://postgres@localhost/postgres?host={server.directory}"
    words = ("--profile", "store", "--select", ",".join(selected()))
    return ran(binary, f"serve {store}", f"lash-{store}", scratch, words, {"LASH_POSTGRES": url}, renew=renew)


def host(binary: Path, effects: str, scratch: Path, *, renew: bool) -> dict[str, Any]:
    """Real lash's runtime under this suite, in the light of its list of known failures."""
    return ran(binary, HOSTS[effects], f"lash-host-{effects}", scratch, ("--profile", "host"), {}, renew=renew)


def ran(
    binary: Path, door: str, name: str, scratch: Path, words: tuple[str, ...], more: dict[str, str], *, renew: bool
) -> dict[str, Any]:
    """One run of this suite against a door of the program, and what is kept of it."""
    listed, report = HERE / "known" / f"{name}.toml", scratch / name
    command = conformance(
        "run", *words, "--target", f"stdio:{shlex.quote(str(binary))} {door}",
        "--report", str(report), "--json", str(report / "report.json"),
    )  # fmt: skip
    if listed.exists() and not renew:
        command += ["--known", str(listed)]
    done = subprocess.run(command, check=False, env=os.environ | more, stdout=subprocess.DEVNULL)
    text = (report / "report.json").read_text(encoding="utf-8")
    told = json.loads(text.replace(str(binary), binary.name).replace(str(Path.cwd()), "<cwd>"))  # lash stores it
    if renew:
        list_failures(listed, report / "events.jsonl")
    checks = [{key: check[key] for key in KEPT} for check in told["checks"]]
    parts = ("suite", "edition", "seed", "target", "check_counts", "clause_counts", "problems")
    rules = stored_results.report(told)["rules"]
    return {key: told[key] for key in parts} | {"exit_code": done.returncode, "rules": rules, "checks": checks}


def selected() -> list[str]:
    """Every check but those that kill at a counted write or fail one.

    lash's runtime wakes its threads by writes of its own, so that their number differs from run to run.
    """
    checks = [one for one in all_checks() if one.id.split(":")[0].partition(".")[0] in AREAS]
    return [one.id for one in checks if one.kind != "crash" or one.id.startswith(SYNCED)]


def list_failures(listed: Path, log: Path) -> None:
    """Write the list of known failures anew; each entry leads to its explanation."""
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").split("\n") if line]
    listed.parent.mkdir(exist_ok=True)
    before = known.read(listed) if listed.exists() else {}
    known.write(listed, known.update(before, events, PAGE, date.today() + timedelta(days=365)))


def bridged(binary: Path, store: str, server: Server, scratch: Path) -> dict[str, Any]:
    """This project's store under lash's suite."""
    target = f"postgres:{server.dsn}" if store == "postgres" else store
    root = scratch / f"ours-{store}"
    root.mkdir()
    command = [str(binary), "suite", str(root), *conformance("serve", "--target", target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def rewritten(binary: Path) -> list[dict[str, Any]]:
    """Every valid vector of the wire, and what lash's types made of it."""
    vectors = [
        {"name": f"{one['about']}", "record": told["record"], "value": one["written"]}
        for told in (json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json")))
        for one in told["valid"]
    ]
    lines = "".join(json.dumps(one) + "\n" for one in vectors)
    done = subprocess.run([str(binary), "vectors"], input=lines, check=True, capture_output=True, text=True)
    answers = [json.loads(line) for line in done.stdout.strip("\n").split("\n") if line]
    return [
        answer | {"outcome": compared(given["value"], answer)} for given, answer in zip(vectors, answers, strict=True)
    ]


def compared(given: Any, answer: dict[str, Any]) -> str:
    """``same`` when lash wrote what was given, absent and null and empty parts aside."""
    if answer["outcome"] != "read":
        return str(answer["outcome"])
    return "same" if lean(given) == lean(answer["value"]) else "changed"


def lean(value: Any) -> Any:
    """The value without nulls, empty lists and empty text, which both sides may leave out."""
    if isinstance(value, dict):
        return {key: lean(member) for key, member in value.items() if member not in (None, [], "")}
    return [lean(member) for member in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
