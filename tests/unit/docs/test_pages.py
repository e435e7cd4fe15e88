"""The pages under docs/ say all that they promise to say, and point to what is there."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["events.md", "operations.md", "access.md", "comparison.md", "serving.md", "reliability.md"]
)
def test_the_tables_are_those_of_the_code(tables, name):
    page = (DOCS / name).read_text()
    assert "<!-- table: " in page
    assert tables.filled(page) == page, f"docs/{name} is out of date: run python docs/tables.py"


def test_every_table_has_a_page_and_every_mark_a_table(tables):
    marks = re.findall(r"^<!-- table: ([\w-]+) -->$", "\n".join(page.read_text() for page in PAGES), re.MULTILINE)
    assert sorted(marks) == sorted(tables.TABLES)


def test_every_tier_with_metrics_or_settings_is_in_the_tables(tables):
    assert {path.parent.name for path in ROOT.glob("*/metrics.py")} == set(tables.METRICS)
    assert {path.parent.name for path in ROOT.glob("*/config.py")} == set(tables.SETTINGS) - {"command"} | {"deploy"}


def test_every_metric_that_the_packages_name_is_described():
    described = (DOCS / "operations.md").read_text()
    named = set(re.findall(r'"(freshet_\w+_(?:total|seconds|records|depth|items|loaded))"', _sources()))
    assert len(named) > 20
    assert {name for name in named if f"`{name}" not in described} == set()


def test_every_variable_that_the_packages_name_is_described():
    described = (DOCS / "operations.md").read_text()
    named = set(re.findall(r"FRESHET_[A-Z_]*[A-Z]", _sources()))
    assert len(named) > 10
    assert {name for name in named if name not in described} == set()


def test_every_setting_says_what_it_is(tables):
    fields = {name: field for each in tables.SETTINGS.values() for name, field in each.model_fields.items()}
    assert [name for name, field in fields.items() if not field.description] == []


def test_every_alert_has_its_section_with_first_steps_and_no_section_is_left_over():
    page = (DOCS / "operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    sections = dict(re.findall(r"^### (Freshet\w+)\n(.*?)(?=^##)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(alerts)
    assert [name for name, text in sections.items() if "\n1. " not in text] == []


def test_the_metrics_that_a_runbook_asks_for_exist(tables):
    samples = {name for row in tables.metrics() for name in re.findall(r"`(freshet_\w+)`", row)}
    runbook = (DOCS / "operations.md").read_text().partition("## Metrics")[0]
    asked = set(re.findall(r"freshet_\w+", runbook))
    assert asked
    assert asked - samples == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_and_named_files_are_there(page):
    text = page.read_text()
    links = [page.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    files = [ROOT / name for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|yml|toml|md))`", text)]
    assert [str(each) for each in [*links, *files] if not each.exists()] == []


def test_every_page_and_every_decision_is_in_an_index():
    index = (DOCS / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index] == []
    decisions = (DOCS / "adr" / "README.md").read_text()
    assert [page.name for page in DOCS.glob("adr/0*.md") if f"({page.name})" not in decisions] == []


def test_the_glossary_is_alphabetical_and_says_each_term_in_one_sentence():
    entries = re.findall(r"^\*\*(.+?)\*\*(?: \(.+?\))?: (.+)$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    terms = [re.sub(r"[^a-z ]", "", term.lower()) for term, _ in entries]
    assert len(terms) > 50
    assert terms == sorted(terms)
    assert [term for term, text in entries if not text.endswith(".") or re.search(r"[.!?] [A-Z]", text)] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "README.md"], ids=["the README", "the docs' index"])
def test_the_glossary_is_linked_from_the_first_pages(page):
    assert re.search(r"\]\((?:docs/)?glossary\.md\)", page.read_text())


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_of_the_pages_beside_the_readme_are_there(page):
    links = [page.parent / link for link in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text())]
    assert [str(link) for link in links if not link.exists()] == []


def _sources() -> str:
    return "\n".join(path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
