"""The built site: every clause with its evidence, every link resolving, nothing from outside, the same bytes twice."""

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from browser import CHROMIUM, Browser
from html_pages import Page, broken, outside
from offline import cut, reaches

from lash_conformance.cli import app

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = [
    pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="the site is built from a checkout"),
    pytest.mark.skipif(not (BIN / "mkdocs").is_file(), reason="SKIPPED THE SITE: mkdocs is not installed (pip install 'lash-ref[docs]')"),
    pytest.mark.long(90),
]


class Quiet(SimpleHTTPRequestHandler):
    """A server that does not write to the terminal."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def build(root: Path, name: str) -> Path:
    """Build as `make docs` does, into a folder of the test's own, with the network cut."""
    prefix, more = cut(root / "cut")
    config = (root / "mkdocs.yml").read_text(encoding="utf-8")
    (root / f"{name}.yml").write_text(config.replace("docs_dir: build/docs", f"docs_dir: {name}"), encoding="utf-8")
    pages = [BIN / "lash-conformance", "site", root / name, "--root", ROOT, "--reports", ROOT / "docs" / "results", "--reports", root / "reports"]
    made = [BIN / "mkdocs", "build", "--strict", "--quiet", "-f", root / f"{name}.yml", "-d", root / f"{name}-site"]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1", "SOURCE_DATE_EPOCH": "0"} | more
    for command in (pages, made):
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=400, check=False, env=env)
        assert done.returncode == 0, done.stderr + done.stdout
    return root / f"{name}-site"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configuration and a small real report."""
    root = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "mkdocs.yml", root / "mkdocs.yml")
    judged = [BIN / "lash-conformance", "run", "--target", "memory", "--select", "LEA.1:the_first_*,LEA.2:*", "--report", root / "reports" / "memory"]
    assert subprocess.run(judged, capture_output=True, timeout=400, check=False).returncode == 0
    return root


@pytest.fixture(scope="module")
def site(folder: Path) -> Path:
    """The built site."""
    return build(folder, "one")


def digests(site: Path) -> dict[str, str]:
    """The hash of every file."""
    return {
        path.relative_to(site).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(site.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_a_second_build_has_the_same_bytes(folder: Path, site: Path):
    """Dates, orders and random names would show."""
    again = build(folder, "two")

    assert digests(again) == digests(site)


def test_the_network_was_cut(folder: Path):
    """A server that everybody else reaches is out of reach for a command that is run as the builds are."""
    prefix, more = cut(folder / "cut")
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        with_it = reaches(server.server_port, [], dict(os.environ))
        without = reaches(server.server_port, prefix, os.environ | more)

    assert (with_it, without) == (True, False)


def test_every_link_and_anchor_resolves(site: Path):
    """Also those in raw HTML, which no builder checks."""
    assert broken(site) == []


def test_nothing_is_loaded_from_outside(site: Path):
    """No script, style, font or picture comes from another host, in pages or in our own assets."""
    found = {
        (path.name, load)
        for path in site.rglob("*.html")
        for load in Page(path).loads
        if outside(load)
    }
    ours = [path for path in (site / "assets").glob("site.*") if "http" in path.read_text(encoding="utf-8")]

    assert (found, ours) == (set(), [])


def test_every_clause_is_there_with_its_evidence(site: Path):
    """The clauses are counted in the Markdown by this test itself."""
    for page in sorted((ROOT / "docs" / "spec").glob("*.md")):
        ids = re.findall(r"^#### ([A-Z]{3}\.\d+) ", page.read_text(encoding="utf-8"), re.MULTILINE)
        built = Page(site / "spec" / f"{page.stem}.html")

        assert (page.name, set(ids) - built.ids, built.evidence) == (page.name, set(), len(ids))


def test_a_clause_leads_to_its_source_and_back(site: Path):
    """The check, the broken implementation and the code are a click away, each at its line, and cite the clause by a link."""
    links = Page(site / "spec" / "lease.html").links
    for part in ("lash_conformance/checks/store/", "lash_conformance/mutants/", "lash_ref/"):
        reached = {link.removeprefix("../").partition("#")[0] for link in links if link.startswith(f"../source/{part}")}
        back = {link for name in reached for link in Page(site / name).links}

        assert "../" * (1 + part.count("/")) + "spec/lease.html#LEA.1" in back, part


def test_the_expected_pages_exist(site: Path):
    """A builder that ignores what it does not know would drop them without a word."""
    expected = [
        "index.html", "evidence/clauses.html", "evidence/matrix.html", "evidence/kills.html", "evidence/crashes.html",
        "evidence/seeds.html", "evidence/data.html", "evidence/bench.html", "fixtures/anthropic-messages.html", "fixtures/gemini.html",
        "fixtures/openai-chat.html", "fixtures/openai-responses.html", "reference/cli.html", "reference/contract.html", "reference/runtime.html",
        "reference/targets.html", "reference/errors.html", "reference/schemas.html", "guides/python-store.html",
        "guides/gate-ci.html", "guides/read-a-failure.html", "changes.html", "clauses.json", "report.json", "schemas/report.json",
        "schemas/wire.json", "schemas/provider-fixture.json",
    ]  # fmt: skip

    assert [name for name in expected if not (site / name).is_file()] == []


def test_verdicts_come_from_the_report(site: Path):
    """What the run found is what the page, the matrix and the published data say."""
    (run,) = [run for run in json.loads((site / "report.json").read_text())["runs"] if run["name"] == "memory"]
    lease = (site / "spec" / "lease.html").read_text(encoding="utf-8")

    assert run["clauses"]["LEA.1"] == "pass"
    assert 'title="memory 0.1.0: pass"' in lease
    assert re.search(r"LEA\.1</a></th>.*?pass", (site / "evidence" / "matrix.html").read_text(encoding="utf-8"))


def test_a_clause_shows_an_example_and_its_history(site: Path):
    """The example is the source of a check that the report says passes, without its decorator."""
    lease = (site / "spec" / "lease.html").read_text(encoding="utf-8")
    block = lease.partition('id="LEA.1"')[2].partition('<details class="evidence">')[2].partition("</details>")[0]
    words = html.unescape(re.sub(r"<[^>]+>", "", block))

    assert any(f"async def {name}(" in words for name in check_names("LEA.1"))
    assert re.search(r"async def \w+\(.*?assert ", words, re.DOTALL)
    assert "@check(" not in words
    assert "2026.11: introduced" in words


def test_the_home_page_counts_what_was_run(site: Path):
    """Kills come from the kept table; the test counts them itself."""
    kept = json.loads((ROOT / "docs" / "results" / "kills.json").read_text(encoding="utf-8"))["found"]["kills"]
    home = (site / "index.html").read_text(encoding="utf-8")

    assert f"<b>{sum(one['killed'] for one in kept)} of {len(kept)}</b>" in home
    assert "not run for this build" not in home


def test_benchmarks_are_drawn_from_the_kept_numbers(site: Path):
    """A curve an operation, and every median in the table below it."""
    kept = json.loads((ROOT / "docs" / "results" / "bench" / "sqlite.json").read_text(encoding="utf-8"))["found"]
    page = (site / "evidence" / "bench.html").read_text(encoding="utf-8")

    assert page.count('<figure class="plot">') >= 1
    assert all(f"<td>{ms:.2f}</td>" in page for times in kept["milliseconds"].values() for ms in times)
    assert all(f"</span>{name}</li>" in page for name in kept["milliseconds"])


def test_changes_are_told_by_edition_and_link_their_clauses(site: Path):
    """The frozen edition is listed, and news lead to the clauses they name."""
    page = (site / "changes.html").read_text(encoding="utf-8")

    assert "<td>2026.11</td>" in page
    assert 'href="spec/queue.html#QUE.55"' in page


def test_diagrams_hold_the_transitions_of_their_machines(site: Path):
    """A row is a transition, in the picture and in the table below it."""
    turn, lease = ((site / "spec" / f"{name}.html").read_text(encoding="utf-8") for name in ("turn", "lease"))
    drawn = {name for name in ("turn", "lease", "queue", "inputs", "session", "waits") if 'class="ladder"' in (site / "spec" / f"{name}.html").read_text(encoding="utf-8")}

    assert "<td>preparing</td><td>Begin</td><td>waiting_llm</td>" in turn
    assert "<td>waiting_checkpoint</td><td>CheckpointAnswered</td><td>finished</td>" in turn
    assert "<td>held</td><td>expiry</td><td>lapse</td><td>expired</td>" in lease
    assert drawn == {"turn", "lease", "queue", "inputs", "session", "waits"}


def spoilt(folder: Path, tmp_path: Path, change) -> str:
    """Build with a changed report; what the build says when it refuses."""
    report = json.loads((folder / "reports" / "memory" / "report.json").read_text(encoding="utf-8"))
    change(report)
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    done = CliRunner().invoke(app, ["site", f"{tmp_path / 'pages'}", "--root", f"{ROOT}", "--reports", f"{tmp_path}"])
    assert (done.exit_code, (tmp_path / "pages").exists()) == (2, False)
    return done.output.replace("\n", " ")


def test_a_stale_report_stops_the_build(folder: Path, tmp_path: Path):
    """An unknown clause, a check that is gone and a changed rule are each named, and nothing is written."""

    def change(report):
        report["clauses"][0]["rule"] = "Another rule."
        report["clauses"].append(report["clauses"][1] | {"id": "LEA.999"})
        report["checks"][0]["id"] = "LEA.1:gone"

    said = spoilt(folder, tmp_path, change)

    assert "unknown clause LEA.999" in said
    assert "the check LEA.1:gone is gone" in said
    assert "has changed" in said


NO_BROWSER = "SKIPPED THE BROWSER: no chromium here (apt-get install chromium); search, filters and the viewer go untested"


@pytest.fixture(scope="module")
def reader(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of the served site."""
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(60)


@pytest.mark.parametrize("by", ["id", "check", "error"])
def test_search_finds_a_clause_and_lands_on_it(reader: tuple[Browser, str], by: str):
    """By its id, by the name of a check, and by an error of the contract; the reader ends at the rule itself."""
    browser, address = reader
    query, clause = {
        "id": ("LEA.2", "LEA.2"),
        "check": ("the_first_grant_has_number_one", "LEA.1"),
        "error": ("SessionExecutionLeaseExpired", "LEA.15"),
    }[by]
    browser.open(f"{address}/index.html")
    browser.look("document.querySelector('.md-search__input').focus()")
    browser.type(query)
    hit = f"[...document.querySelectorAll('.md-search-result__link')].find(a => a.href.endsWith('#{clause}'))"

    assert browser.until(f"Boolean({hit})")
    browser.follow(hit)
    assert browser.until(f"location.pathname.endsWith('/spec/lease.html') && location.hash.startsWith('#{clause}') && document.readyState === 'complete'")
    assert browser.until(f"Math.abs(document.getElementById('{clause}').getBoundingClientRect().top) < innerHeight")


def check_names(clause: str) -> list[str]:
    """Names of the checks of a clause, from the command line."""
    told = CliRunner().invoke(app, ["explain", clause, "--json"])
    return [check["id"].partition(":")[2] for check in json.loads(told.output)["checks"]]


def test_the_matrix_is_filtered(reader: tuple[Browser, str]):
    """Words leave only the rows that hold them."""
    browser, address = reader
    browser.open(f"{address}/evidence/matrix.html")
    before = browser.look("document.querySelectorAll('#matrix-store tbody tr:not([hidden])').length")
    browser.look("document.querySelector('[data-filters=matrix-store] input').focus()")
    browser.type("LEA.2 busy")

    shown = browser.look("[...document.querySelectorAll('#matrix-store tbody tr:not([hidden]) th')].map(t => t.textContent)")
    assert (shown[0], all(clause.startswith("LEA.2") for clause in shown)) == ("LEA.2", True)
    assert before > 20 > len(shown)


def test_evidence_opens_and_names_its_checks(reader: tuple[Browser, str]):
    """Folded at first; open, it shows the checks."""
    browser, address = reader
    browser.open(f"{address}/spec/lease.html#LEA.1")
    shown = "document.querySelector('details.evidence dl').checkVisibility()"
    before = browser.look(shown)
    browser.look("document.querySelector('details.evidence summary').click()")

    assert (before, browser.until(shown)) == (False, True)
    assert check_names("LEA.1")[0] in browser.look("document.querySelector('details.evidence').textContent")


def test_a_recorded_reply_is_stepped_by_key(reader: tuple[Browser, str]):
    """The arrow shows the next frame."""
    browser, address = reader
    browser.open(f"{address}/fixtures/gemini.html")
    shown = "document.querySelectorAll('.stepper')[0].querySelectorAll('li:not([hidden])').length"
    first = browser.look(shown)
    browser.look("document.querySelector('.stepper').focus()")
    browser.press("ArrowRight")

    assert (first, browser.look(shown)) == (1, 2)


def test_a_reader_without_a_mouse_gets_to_a_rule_and_its_evidence(reader: tuple[Browser, str]):
    """A key opens the search, Enter goes to the first hit, Enter opens the evidence."""
    browser, address = reader
    browser.open(f"{address}/index.html")
    browser.press("/")
    assert browser.until("document.activeElement.classList.contains('md-search__input')")
    browser.type("LEA.2")
    assert browser.until("document.querySelector('.md-search-result__link')?.href.endsWith('#LEA.2')")
    browser.press("Enter")
    assert browser.until("location.pathname.endsWith('/spec/lease.html') && location.hash === '#LEA.2' && document.readyState === 'complete'")

    browser.look("document.getElementById('LEA.2').closest('article').querySelector('details.evidence > summary').focus()")
    browser.press("Enter")
    assert browser.until("document.activeElement.closest('details').open")


@pytest.mark.parametrize("page", ["index.html", "spec/lease.html", "evidence/matrix.html", "evidence/bench.html", "fixtures/gemini.html"])
def test_pages_fit_a_phone_in_the_dark(reader: tuple[Browser, str], page: str):
    """No page is wider than a phone, and the dark scheme follows the reader's."""
    browser, address = reader
    browser.open(f"{address}/{page}", width=390, dark=True)
    browser.look("localStorage.clear()")
    browser.open(f"{address}/{page}", width=390, dark=True)

    assert browser.look("document.documentElement.scrollWidth") <= 390
    assert browser.until("document.body.dataset.mdColorScheme === 'slate'")
