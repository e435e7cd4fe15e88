"""The docs site builds strictly, has every page in its navigation, and asks no other host for anything."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import get_files
from mkdocs.structure.nav import get_navigation

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
OTHER_HOST = re.compile(r"\s*(?:https?:)?//")
LOADED = {
    "audio": {"src"},
    "embed": {"src"},
    "iframe": {"src"},
    "image": {"href", "xlink:href"},
    "img": {"src", "srcset"},
    "link": {"href"},
    "object": {"data"},
    "script": {"src"},
    "source": {"src", "srcset"},
    "use": {"href", "xlink:href"},
    "video": {"poster", "src"},
}
"""Attributes of HTML elements whose addresses a browser loads by itself; `a` is not among them."""
STYLED = re.compile(r"""(?:url\(\s*|@import\s+)['"]?([^'")\s]+)""")


class Loads(HTMLParser):
    """Collects the addresses that a browser loads with a page, and the page's blocks of style."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            if value and name in LOADED.get(tag, ()):
                self.addresses.append(value)
            elif value and name == "style":
                self.addresses += STYLED.findall(value)

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.addresses += STYLED.findall(data)


def loads_of(html: str) -> list[str]:
    parser = Loads()
    parser.feed(html)
    return parser.addresses


def from_elsewhere(site: Path) -> Iterator[tuple[str, str]]:
    """Yields each file of the site that loads something from another host, with the address."""
    for path in site.rglob("*"):
        if path.suffix == ".html":
            addresses = loads_of(path.read_text())
        elif path.suffix == ".css":
            addresses = STYLED.findall(path.read_text())
        else:
            continue
        yield from ((path.name, address) for address in addresses if OTHER_HOST.match(address))


def configuration(site: Path) -> MkDocsConfig:
    return load_config(str(ROOT / "mkdocs.yml"), site_dir=str(site), strict=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` does; a warning, as of a broken link, fails here."""
    folder = tmp_path_factory.mktemp("site")
    config = configuration(folder)
    config.plugins.on_startup(command="build", dirty=False)
    logging.getLogger("mkdocs").setLevel(logging.WARNING)
    build(config)
    config.plugins.on_shutdown()
    return folder


def test_every_page_is_built(site):
    expected = {page.removesuffix("README.md").removesuffix(".md").strip("/") for page in PAGES}
    assert {str(path.parent.relative_to(site)).strip(".") for path in site.rglob("index.html")} == expected


def test_every_page_is_in_the_navigation(tmp_path):
    config = configuration(tmp_path)
    pages = [page.file.src_uri for page in get_navigation(get_files(config), config).pages]
    assert sorted(pages) == PAGES


def test_nothing_is_loaded_from_another_host(site):
    assert list(from_elsewhere(site)) == []


def test_the_theme_takes_the_local_script_for_diagrams(site):
    drawn = [path for path in site.rglob("*.html") if 'class="mermaid"' in path.read_text()]
    assert drawn
    for path in drawn:
        scripts = [path.parent / address for address in loads_of(path.read_text()) if "mermaid" in address]
        assert [script.is_file() for script in scripts] == [True]
        assert 'globalThis["mermaid"]' in scripts[0].read_text()


def test_code_is_not_published_as_a_page_of_the_site(site):
    assert not list(site.rglob("*.py"))


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://host/a.js"></script>',
        '<link rel="stylesheet" href="//host/a.css">',
        '<img src="http://host/a.png">',
        '<p style="background: url(https://host/a.png)">',
        "<style>@import 'https://host/a.css';</style>",
    ],
)
def test_each_way_of_loading_from_another_host_is_seen(tmp_path, html):
    (tmp_path / "page.html").write_text(html)
    assert [name for name, _ in from_elsewhere(tmp_path)] == ["page.html"]


def test_a_link_that_a_reader_may_follow_is_none(tmp_path):
    (tmp_path / "page.html").write_text('<a href="https://host/">there</a> <img src="images/a.svg">')
    assert list(from_elsewhere(tmp_path)) == []
