"""What a built page holds: its anchors, its links, and whatever it would load."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src", "object": "data"}


class Page(HTMLParser):
    """One parsed page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.twice: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.evidence = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what matters."""
        given = {name: value or "" for name, value in attrs}
        if name := given.get("id"):
            (self.twice if name in self.ids else self.ids).add(name)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.loads.append(given.get("href", ""))
        if tag in LOADS and LOADS[tag] in given:
            self.loads.append(given[LOADS[tag]])
        if tag == "details" and given.get("class") == "evidence":
            self.evidence += 1


def outside(address: str) -> bool:
    """Whether a browser would leave the site for it."""
    return bool(urlsplit(address).netloc)


def broken(site: Path) -> list[str]:
    """Every internal link whose page or anchor is not there."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    found: list[str] = []
    for path, page in pages.items():
        for link in [*page.links, *(load for load in page.loads if not outside(load))]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            start = site if parts.path.startswith("/") else path.parent
            target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            where = f"{path.relative_to(site)}: {link}"
            anchors = pages[target].ids if target in pages else set[str]()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in anchors):
                found.append(where)
    return found
