"""Every code block of the README and the guides runs, in order, in one folder a page, or says why not."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from blocks import BlockFailed, blocks, run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "index.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]

pytestmark = pytest.mark.skipif(
    not (ROOT / "README.md").is_file(), reason="the pages belong to the checkout; the installed copy has no README"
)


@pytest.mark.long(25)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_runs_or_says_why_not(page: Path, tmp_path: Path):
    """Blocks of one page share a folder, as a reader who follows it would."""
    missing = [block for block in blocks(page) if block.needs and shutil.which(block.needs) is None]
    for block in blocks(page):
        if not block.reason and block not in missing:
            run(block, tmp_path)
    if missing:
        pytest.skip(f"SKIPPED {len(missing)} BLOCKS OF {page.name}: no {missing[0].needs} here; the others ran")


def test_a_block_that_lies_is_found(tmp_path: Path):
    """A command that fails names the page, the line and the exit code."""
    page = tmp_path / "page.md"
    page.write_text("words\n\n```console\ntrue\nfalse\n```\n")
    (block,) = blocks(page)

    with pytest.raises(BlockFailed, match=r"page.md:3: 'false' exits with 1, not 0"):
        run(block, tmp_path)


def test_reasons_titles_and_exits_are_read(tmp_path: Path):
    """The three notes a fence may carry."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs a key -->\n```console\nx\n```\n\n"
        '```python title="a.py"\npass\n```\n\n'
        "<!-- exits: 2 -->\n```console\nexit 2\n```\n\n```text\nprose\n```\n"
    )

    found = [(block.reason, block.title, block.exits) for block in blocks(page)]

    assert found == [("needs a key", "", 0), ("", "a.py", 0), ("", "", 2), ("prose", "", 0)]


def test_a_language_nobody_can_run_is_refused(tmp_path: Path):
    """Silence is no reason."""
    page = tmp_path / "page.md"
    page.write_text("```cobol\nDISPLAY 1.\n```\n")

    with pytest.raises(BlockFailed, match="no way to run 'cobol'"):
        run(blocks(page)[0], tmp_path)
