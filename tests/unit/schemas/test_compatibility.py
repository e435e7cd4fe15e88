"""What was written once stays readable, and the exported schemas say what the code does.

The samples are frozen: a change that breaks one breaks every log there is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from schemas.events import TYPES, Event, LoggedEvent
from schemas.export import FOLDER, exported
from schemas.log.codec import decode_event, encode_event

SAMPLES = Path(__file__).parent / "samples"
SENT = (SAMPLES / "sent-v1.jsonl").read_text().splitlines()
LOGGED = (SAMPLES / "logged-v1.jsonl").read_text().splitlines()


@pytest.mark.parametrize("line", SENT)
def test_an_event_that_a_client_of_version_1_sends_is_still_taken(line):
    event = Event.model_validate_json(line)
    given = json.loads(line)
    assert {name: getattr(event, name) for name in given if name != "occurred_at"} == {
        name: value for name, value in given.items() if name != "occurred_at"
    }


@pytest.mark.parametrize("line", LOGGED)
def test_an_event_of_version_1_on_the_log_is_still_read_whole(line):
    event = decode_event(line.encode())
    written = json.loads(line)
    read = msgspec.to_builtins(event)
    assert {name: read[name] for name in written} == written
    assert decode_event(encode_event(event)) == event


def test_the_samples_hold_every_type_and_every_field_of_version_1():
    events = [json.loads(line) for line in LOGGED]
    assert {event["type"] for event in events} == TYPES | {"wishlist"}
    fields = {"event_id", "type", "user_id", "anonymous_id", "session_id", "item_id", "value", "query", "occurred_at"}
    fields |= {"received_at", "recommendation_id", "position", "impression", "context", "properties"}
    assert set().union(*events) == fields
    assert fields <= {field.name for field in msgspec.structs.fields(LoggedEvent)}


def test_the_exported_schemas_are_up_to_date():
    kept = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert kept == exported(), "run: python -m schemas.export"


def test_the_command_writes_every_schema(tmp_path):
    subprocess.run([sys.executable, "-m", "schemas.export", tmp_path], cwd=FOLDER.parents[1], check=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == exported()


def test_an_exported_schema_names_every_field_of_an_event():
    properties = json.loads((FOLDER / "Event.json").read_text())["properties"]
    assert properties.keys() == Event.model_fields.keys()
