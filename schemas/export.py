"""Writes the JSON Schemas of all values between processes: ``python -m schemas.export [FOLDER]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import BaseModel

from schemas.answers import Answer, Decision
from schemas.catalogue import ItemFields, ItemUpsert, Upsert, UserFields
from schemas.events import Event, LoggedEvent
from schemas.log.dead_letters import DeadLetter
from schemas.offline.manifest import Manifest

FOLDER: Final = Path(__file__).parent / "json"

SENT: Final[tuple[type[BaseModel], ...]] = (Event, ItemFields, ItemUpsert, UserFields)
"""Values that clients send."""
KEPT: Final[tuple[type[msgspec.Struct], ...]] = (LoggedEvent, Upsert, DeadLetter, Decision, Manifest, Answer)
"""Values on the log, in a store, or in an answer."""


def exported() -> dict[str, str]:
    """The text of each schema, by its file name."""
    by_type: dict[type, dict[str, Any]] = {model: model.model_json_schema() for model in SENT}
    by_type |= {struct: msgspec.json.schema(struct) for struct in KEPT}
    return {
        f"{kind.__name__}.json": json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for kind, schema in by_type.items()
    }


def main(folder: Path) -> None:
    """Writes every schema's file into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in exported().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
