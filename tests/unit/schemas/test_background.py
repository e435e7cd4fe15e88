"""A background task survives each failure of a step, counts it, and says so until a step succeeds."""

import asyncio
import gc

import pytest
from prometheus_client import REGISTRY

from schemas.background import LONGEST_PAUSE, BackgroundTask, failing


def counted(name, task):
    return REGISTRY.get_sample_value(f"freshet_background_{name}", {"task": task})


def fail(task, error):
    with task.step():
        raise error


def test_a_failure_is_counted_and_told_until_a_step_succeeds():
    task = BackgroundTask("one")
    assert (counted("failures_total", "one"), counted("failing", "one"), failing()) == (0, 0, [])
    fail(task, KeyError("what nobody foresaw"))
    assert (counted("failures_total", "one"), counted("failing", "one")) == (1, 1)
    [sentence] = failing()
    assert sentence.startswith("one fails: KeyError('what nobody foresaw')")
    with task.step():
        pass
    assert (counted("failures_total", "one"), counted("failing", "one"), failing()) == (1, 0, [])


def test_the_pause_grows_with_failures_in_a_row_up_to_a_bound():
    task = BackgroundTask("two")
    pauses = []
    for _ in range(40):
        pauses.append(task.pause(0.05))
        fail(task, ValueError("again"))
    assert pauses[0] == 0.05
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    task.reset()
    assert task.pause(0.05) == 0.05


@pytest.mark.parametrize("end", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
def test_the_end_of_the_process_is_no_failure(end):
    task = BackgroundTask("three")
    with pytest.raises(type(end)):
        fail(task, end)
    assert counted("failures_total", "three") == 0


def test_a_task_that_is_gone_is_not_told():
    task = BackgroundTask("four")
    fail(task, ValueError("no"))
    del task
    gc.collect()
    assert failing() == []
