"""One call inside a worker goes wrong once: the log lies about a watermark, or a fold raises in the middle of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.dead_letters import letters
from tests.faults.misbehaving import HIGH_BEGIN, LOW_END, RUNTIME_ERROR, VALUE_ERROR
from tests.faults.run import Fault, Run
from tests.faults.world import Process

_NOTICED_SECONDS = 60.0
_IN_HASTE = ("signal_rebuilt", "records_missing")
"""What a worker logs when it resets values, or gives records up."""


def watermark_lies(run: Run) -> None:
    """In turn, the end and the beginning of a partition are wrong once: while a worker runs, and while one starts."""
    _let_workers_misbehave(run)
    before = _said(run, _IN_HASTE)
    for number in run.repeat():
        run.pause(1.0, 3.0)
        worker = run.world.processes[run.random.choice(run.world.folding)]
        if number // 2 % 2:
            worker.kill()
        worker.misbehave((LOW_END, HIGH_BEGIN)[number % 2])
        if not worker.alive():
            worker.start()
        _wait_until_misbehaved(run, worker)
        run.recover()
    hasty = _said(run, _IN_HASTE) - before
    run.expect(not hasty, f"{hasty} times, values were reset or records were given up because of a lie")


def exception_in_a_batch(run: Run) -> None:
    """In turn, a fold raises what a record could cause, and what no record could cause, after a part of its batch."""
    _let_workers_misbehave(run)
    for number in run.repeat():
        run.pause(1.0, 3.0)
        worker = run.world.processes[run.random.choice(run.world.folding)]
        worker.misbehave((VALUE_ERROR, RUNTIME_ERROR)[number % 2])
        _wait_until_misbehaved(run, worker)
        run.recover()
    run.settle()
    with run.world.opened() as dependencies:
        found = list(letters(dependencies.reader, resolved=True))
    run.clients.resume()
    run.expect(not found, f"{len(found)} sound events became dead letters by an exception that passed")


def _let_workers_misbehave(run: Run) -> None:
    for name in run.world.folding:
        worker = run.world.processes[name]
        worker.stop()
        worker.may_misbehave()
        worker.start()
    run.recover()


def _wait_until_misbehaved(run: Run, worker: Process) -> None:
    run.world.wait_until(worker.has_misbehaved, _NOTICED_SECONDS, f"{worker.name} misbehaves")


def _said(run: Run, words: Sequence[str]) -> int:
    """How often the workers have logged one of these words."""
    texts = [run.world.processes[name].log.read_text(errors="replace") for name in run.world.folding]
    return sum(text.count(word) for text in texts for word in words)


FAULTS = [
    Fault(
        6,
        "exception-in-a-batch",
        "an exception in the middle of a batch, once: one that a record could cause, and another",
        "nothing skipped, nothing twice, no dead letter",
        exception_in_a_batch,
        fresh=True,
        repetitions=8,
        stacks=("cluster",),
        traffic={"events_per_second": 400.0, "batch": 20},
    ),
    Fault(
        7,
        "watermark-lies",
        "a watermark that lies once: the end or the beginning of a partition, to a worker that runs or starts",
        "nothing is reset in haste",
        watermark_lies,
        fresh=True,
        repetitions=8,
        stacks=("cluster",),
    ),
]
