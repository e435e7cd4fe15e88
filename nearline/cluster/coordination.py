"""Takes the errors of aiokafka's group coordination, because Faust does not.

After an error that it does not retry by itself, the coordination pauses until somebody has taken the error. The consumer's own
calls for records take it, but Faust fetches without them. The worker would then keep no partition for ever.
"""

from __future__ import annotations

from typing import Final

import structlog
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError

from nearline import metrics

CHECK_SECONDS: Final = 1.0
"""Pause between two checks of the coordination."""

log = structlog.get_logger()


def take_error(coordinator: GroupCoordinator) -> bool:
    """Take the error after which the coordination has paused, so that it tries again. False if it has ended for good."""
    try:
        coordinator.check_errors()
    except KafkaError as error:
        log.warning("group_coordination_failed", error=repr(error))
        metrics.RETRIES.labels("coordination").inc()
    return not coordinator._coordination_task.done()  # noqa: SLF001 - it has no public name
