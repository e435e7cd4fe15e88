"""Writes what is generated of the client: ``models.py`` from an OpenAPI document, and ``client.py`` from ``async_client.py``.

``python clients/python/generate.py openapi.json``, with the document of ``freshet up`` under ``FRESHET_DOCS=true`` and a
``FRESHET_MODELS_TOKEN``. A test holds that both files are as they are generated.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = Path(__file__).parent / "src" / "freshet_client"
_HEAD: Final = '''"""The types of bodies and answers. Made by ``generate.py`` from the OpenAPI document: do not change it by hand."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
_NAMED: Final = re.compile(r'"#/components/schemas/(\w+)"')
_PLAIN: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_BY_SITE: Final = {("Event", "type"), ("SessionEvent", "type")}
"""Members whose values a site adds to."""
_SYNCHRONOUS: Final = (
    (
        "The asynchronous client. ``client`` is made from this module by ``generate.py``: change this one.",
        "The synchronous client. Made by ``generate.py`` from ``async_client``: change that one.",
    ),
    ("from freshet_client.async_sender import AsyncEventSender\n", ""),
    ("import Reply, SenderOptions", "import EventSender, Reply, SenderOptions"),
    ("AsyncEventSender", "EventSender"),
    ("AsyncBaseTransport", "BaseTransport"),
    ("AsyncClient", "Client"),
    ("asyncio.sleep", "time.sleep"),
    ("import asyncio\nimport json\n", "import json\nimport time\n"),
    ("async ", ""),
    ("await ", ""),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("aclose", "close"),
    ("aread", "read"),
    ("aiter_bytes", "iter_bytes"),
)


def models_text(document: Mapping[str, Any]) -> str:
    """Returns the module of the types in an OpenAPI document, before formatting."""
    schemas = document["components"]["schemas"]
    return _HEAD + "".join(f"\n\n{_typed_dict(name, schemas[name])}" for name in sorted(_used(document)))


def _used(document: Mapping[str, Any]) -> set[str]:
    """The names of the types that calls of programs use: those of the console are for people."""
    operations = (operation for methods in document["paths"].values() for operation in methods.values())
    text = json.dumps([operation for operation in operations if "console" not in operation["tags"]])
    names: set[str] = set()
    found = set(_NAMED.findall(text))
    while found - names:
        names |= found
        found = set(_NAMED.findall(json.dumps([document["components"]["schemas"][name] for name in names])))
    return names


def client_text(async_text: str) -> str:
    """Returns the module of the synchronous client, made from the asynchronous one."""
    for asynchronous, synchronous in _SYNCHRONOUS:
        async_text = async_text.replace(asynchronous, synchronous)
    return async_text


def _typed_dict(name: str, schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = [
        f"class {name}(TypedDict):",
        f'    """{_one_line(schema.get("description") or f"{name} of the API.")}"""',
        "",
    ]
    for member, of_member in schema["properties"].items():
        kind = "str" if (name, member) in _BY_SITE else _type(of_member)
        lines.append(f"    {member}: {kind}" if member in required else f"    {member}: NotRequired[{kind}]")
        if described := isinstance(of_member, dict) and of_member.get("description"):
            lines.append(f'    """{_one_line(described)}"""')
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    line = " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")
    return line if line[-1] in ".!?…" else f"{line}."


def _type(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "Any"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(map(_literal, schema.get('enum', [schema.get('const')])))}]"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(map(_type, options)))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": each}) for each in kind)
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        return _mapping(schema.get("additionalProperties"))
    return _PLAIN.get(str(kind), "Any")


def _mapping(members: Any) -> str:
    return f"dict[str, {_type(members)}]"


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def main() -> None:
    """Writes both files."""
    (PACKAGE / "models.py").write_text(models_text(json.loads(Path(sys.argv[1]).read_text())))
    (PACKAGE / "client.py").write_text(client_text((PACKAGE / "async_client.py").read_text()))


if __name__ == "__main__":
    main()
