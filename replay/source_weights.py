"""Learns the weights of candidate sources by a replay of the newest events. It is the last step of a training.

The newest interactions of the archive go through the whole system. Models are trained on the first part of them only.
The second part compares the candidates of each source with the items that users chose next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from models.source_weights import SourceWeights
from offline.data.archive import Progress
from offline.engines.options import TrainingOptions
from replay.source_weight_learner import SourceWeightLearner
from replay.system import ReplaySystem
from replay.training import Trainer
from schemas.answers import RecommendationRequest
from schemas.errors import NothingToTrain, Undecodable
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import decode_event
from schemas.ports import Archive
from serving.ranking.blend import configured_weights
from serving.ranking.config import RankingConfig
from signals.users import is_interaction

MAX_CHOICES: Final = 800
"""Limit of events that are compared with the candidates, evenly spread over the second part."""
_TRAINING_SHARE: Final = 0.6
"""Share of the events that models are trained on: the first part."""


def learned_weights(
    archive: Archive, config: RankingConfig, options: TrainingOptions, progress: Progress
) -> SourceWeights | None:
    """Returns the weights for this site; None if there are too few events, or if ``weigh_events`` is 0."""
    if not options.weigh_events:
        return None
    events = newest(archive, options.weigh_events)
    split = int(_TRAINING_SHARE * len(events))
    system, trainer = ReplaySystem(config), Trainer(options, options.threads)
    learner = SourceWeightLearner(config)
    for event in events[:split]:
        _add_revisit(system, learner, event)
        system.feed(event)
        trainer.add(event, event.occurred_at.timestamp())
    try:
        system.adopt(trainer.train("weights", events[split - 1].occurred_at.timestamp() if split else 0.0))
    except NothingToTrain:
        return None
    # No weight is learned yet, but sources that recommend earlier items again must be active from the first choice on.
    system.weigh(SourceWeights.unlearned(learner.revisits))
    return _learn(system, learner, events[split:], progress)


def _learn(
    system: ReplaySystem, learner: SourceWeightLearner, events: Sequence[LoggedEvent], progress: Progress
) -> SourceWeights | None:
    every = max(1, len(events) // MAX_CHOICES)
    for number, event in enumerate(events):
        _add_revisit(system, learner, event)
        if number % every == 0:
            _add_choice(system, learner, event)
        system.feed(event)
        if number % 500 == 0:
            progress("weighing sources", number, len(events))
    return learner.learn(partial(configured_weights, system.config))


def _add_choice(system: ReplaySystem, learner: SourceWeightLearner, event: LoggedEvent) -> None:
    request = RecommendationRequest(
        now=event.occurred_at.timestamp(), user_id=event.user_id, session_id=event.session_id
    )
    context = system.context(request, event.subject)
    user = context.signals.user
    seen = event.item_id in user.seen
    if not user.recent or (seen and event.user_id is not None):
        return
    position = context.catalogue.position(event.item_id or "")
    learner.add_choice(system.candidates(context), context, position, event.subject)


def _add_revisit(system: ReplaySystem, learner: SourceWeightLearner, event: LoggedEvent) -> None:
    value = system.value(event.subject)
    if event.user_id is None and value.recent:
        learner.add_revisit(value, event.item_id or "")


def newest(archive: Archive, count: int) -> list[LoggedEvent]:
    """Returns the newest archived interactions in time order, about the same number from each partition."""
    ends = {(archived.log_id, archived.partition): archived.end for archived in archive.ranges(topics.EVENTS)}
    share = -(-count // max(1, len(ends)))
    events = [
        event
        for (log_id, partition), end in sorted(ends.items())
        for event in _read(archive, log_id, partition, max(0, end - share), end)
    ]
    return sorted(events, key=lambda event: (event.occurred_at, event.subject, event.event_id))[-count:]


def _read(archive: Archive, log_id: str, partition: int, begin: int, end: int) -> Iterator[LoggedEvent]:
    for record in archive.read(topics.EVENTS, log_id, partition, begin, end):
        try:
            event = decode_event(record.value or b"", record.timestamp_ms)
        except Undecodable:
            continue
        if is_interaction(event):
            yield event
