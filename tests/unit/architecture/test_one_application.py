"""Every HTTP application is built in one place, so that none lacks an edge which the others have."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("adapters", "deploy", "ingest", "nearline", "offline", "replay", "schemas", "serving")


def test_only_one_module_makes_applications():
    modules = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    makers = [str(path.relative_to(ROOT)) for path in modules if _makes_applications(path)]
    assert makers == ["adapters/http/application.py"]


def _makes_applications(path: Path) -> bool:
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(ast.unparse(call.func).rpartition(".")[2] in {"FastAPI", "Starlette"} for call in calls)
