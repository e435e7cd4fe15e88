"""No code that serves requests can fetch an address, so that no request can make Freshet call another system."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVING = ("ingest/http", "ingest/validation", "serving", "schemas/http", "offline/publishing/upload_api.py")
CLIENTS = frozenset({"httpx", "httpx2", "requests", "urllib.request", "http.client", "aiohttp", "fsspec", "socket"})
ALLOWED = {"serving/accounts/provider.py": "the provider that the settings name"}


def _files() -> list[Path]:
    places = [ROOT / place for place in SERVING]
    return [path for place in places for path in ([place] if place.suffix else sorted(place.rglob("*.py")))]


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_that_serves_requests_has_no_http_client(path):
    clients = {name for name in _imports(path) if any(name == c or name.startswith(f"{c}.") for c in CLIENTS)}
    assert not clients or str(path.relative_to(ROOT)) in ALLOWED


def test_what_is_allowed_still_exists():
    assert all((ROOT / path).is_file() for path in ALLOWED)
