"""Records of another producer that no collector wrote: each becomes a dead letter, and its partition moves on."""

from __future__ import annotations

import json
from collections import Counter

from ingest.dead_letters import letters
from schemas.configuration.site import topic_prefix
from schemas.log import topics
from schemas.log.records import LogEntry, OffsetToken
from schemas.log.topics import partition_of, topic_name
from tests.faults.run import Fault, Run

_TIMES = '"occurred_at":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:00Z"'
_CLICK = f'{{"event_id":"poison","type":"click","user_id":"%s","item_id":"i","recommendation_id":"r",{_TIMES},%s}}'
_NINES = "9" * 400
_LARGE = 1_900_000


def poison(run: Run) -> None:
    """Write poison straight to the log, then look at its letters, and replay one of them twice, mended."""
    placed: list[tuple[int, int]] = []
    with run.world.opened() as dependencies:
        for _ in run.repeat():
            run.pause(1.0, 2.0)
            user = f"plain-{run.random.randrange(300)}"
            entries = [LogEntry(user.encode(), value) for value in _values(user)]
            placed += dependencies.writer.append(topics.EVENTS, entries).result(60)
            placed += _tombstone(run, user, dependencies.reader)
            run.recover()
        run.settle()
        found = Counter(
            (letter.letter.partition, letter.letter.offset)
            for letter in letters(dependencies.reader, resolved=True)
            if letter.letter.topic == topics.EVENTS
        )
        missing = [place for place in placed if tuple(place) not in found]
        run.expect(not missing, f"{len(missing)} of {len(placed)} poisonous records have no dead letter: {missing[:3]}")
        run.expect(len(found) == len({tuple(place) for place in placed}), f"there are {len(found)} letters")
        run.notes.append(f"{len(placed)} records of another producer are dead letters")
        _mend(run, next(iter(letters(dependencies.reader))).token)


def _values(user: str) -> list[bytes]:
    return [
        b"\xff\xfe junk",
        b"",
        (_CLICK % (user, f'"position":{_NINES}')).encode(),
        (_CLICK % (user, f'"value":1e{_NINES}')).encode(),
        (_CLICK % (user, f'"properties":{{"scroll":{_NINES}}}')).encode(),
        ("[" * 10_000).encode(),
        json.dumps({"event_id": "poison", "type": "click", "user_id": user}).encode(),
        b"x" * _LARGE,
    ]


def _tombstone(run: Run, user: str, reader) -> list[tuple[int, int]]:
    """A record without a value, which only Kafka has; it is no letter on the embedded log. Its place is not needed."""
    if run.world.stack != "cluster":
        return []
    from confluent_kafka import Producer

    settings = run.world.settings
    producer = Producer({"bootstrap.servers": settings.kafka, "log_level": 0})
    partition = partition_of(user.encode(), settings.partitions)
    producer.produce(topic_name(topics.EVENTS, topic_prefix(settings.prefix)), None, user.encode(), partition)
    producer.flush(20)
    return []


def _mend(run: Run, token: OffsetToken) -> None:
    """List and show the letter, and replay it twice, mended: it stands on the log once."""
    mended = run.world.folder / "mended.json"
    mended.write_text(
        json.dumps({"event_id": "mended", "type": "view", "user_id": "plain-mended", "item_id": "plain-1"})
    )
    listed, shown = run.world.freshet("deadletters", "list"), run.world.freshet("deadletters", "show", str(token))
    run.expect(str(token) in listed.stdout, f"the letter is not listed: {listed.stdout[-300:]}{listed.stderr[-300:]}")
    run.expect(shown.returncode == 0, f"the letter is not shown: {shown.stderr[-300:]}")
    replayed = [run.world.freshet("deadletters", "replay", str(token), "--mended", str(mended)) for _ in range(2)]
    run.expect([one.returncode for one in replayed] == [0, 0], f"replay: {[one.stderr[-300:] for one in replayed]}")
    run.expect("before" in replayed[1].stdout, f"the second replay wrote it again: {replayed[1].stdout[-300:]}")


FAULTS = [
    Fault(
        14,
        "poison",
        "poison straight to the topic: bytes that are no JSON, a tombstone, 1.9 MiB, numbers of 400 digits",
        "a dead letter with coordinates, the partition moves on; list, show, mend and replay are idempotent",
        poison,
        repetitions=5,
    ),
]
