"""``freshet recommend``, ``freshet explain``: a list now, and why a list of the past was as it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from deploy.commands.checks import setup
from deploy.commands.common import (
    DEFAULT_FOLDER,
    Data,
    StackName,
    console,
    errors,
    require_data,
    settings_for,
    steps,
    table,
)
from deploy.commands.explaining import words
from deploy.commands.explaining.decision_lookup import DecisionMatch, find_in
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.online import ranking_config, service_for, serving_settings, stores_for, with_partitions_of_log
from deploy.wiring.pseudonyms import check_pepper
from replay.explain import Explanation, World, explain, read_world, user_value
from schemas.answers import Answer, DecidedItem, Decision
from schemas.log import topics
from serving.http import parameters
from serving.state.catalogue import Catalogue


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(recommend)
    app.command("explain")(explain_)


def recommend(
    user: Annotated[str, typer.Argument(help="Whom for.")],
    count: Annotated[int, typer.Option(help="How many items.", min=1, max=500)] = 10,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
) -> None:
    """Print what a user would be shown now, and why; needs no running process and records nothing."""
    require_data(settings_for(data, stack))
    settings = with_partitions_of_log(settings_for(data, stack))
    try:
        msgspec.convert(user, parameters.ParameterId)
    except msgspec.ValidationError as error:
        raise typer.BadParameter("1 to 128 characters, none of them control characters", param_hint="USER") from error
    _remark_lag(settings)
    asyncio.run(_recommend(user, count, settings))


async def _recommend(user: str, count: int, settings: CommandSettings) -> None:
    with open_dependencies(settings) as dependencies:
        check_pepper(settings.pseudonyms, dependencies)
    async with service_for(settings) as service:
        user_id = settings.pseudonyms.of(user) if settings.pseudonyms else user
        answer = await service.recommend(service.request(user_id=user_id, count=count))
        missing, catalogue = service.missing(), service.state.catalogue
    _remark(answer, missing)
    if not answer.items:
        errors.print(
            "There is nothing to recommend: the catalogue is empty, or everything in it was seen or is hidden."
        )
        raise typer.Exit(1)
    items = [DecidedItem(item.item_id, item.score, item.reasons) for item in answer.items]
    _table(items, catalogue, f"What {user} may like next")
    _say(f"model {answer.model_version or 'none'}, signals at {answer.signals_offset or 'none'}")


def _remark_lag(settings: CommandSettings) -> None:
    """Say where signals do not hold what the log says; a cluster's workers always run, and `freshet doctor` asks."""
    if settings.stack == "cluster":
        return
    followed = setup.holder(settings.data) is not None
    with open_dependencies(settings) as dependencies:
        for topic in topics.FACTS:
            check = setup.signals(topic, dependencies.reader, dependencies.signals, followed=followed)
            if check.state != "ok":
                errors.print(f"[yellow]Note:[/yellow] {check.name}: {check.found} → {check.advice}", soft_wrap=True)


def _remark(answer: Answer, missing: list[str]) -> None:
    """Say what the list had to do without."""
    if answer.model_version is None:
        errors.print(
            "[yellow]There is no trained model:[/yellow] `freshet train` makes one; until then lists are simpler."
        )
    if answer.signals_offset is None and "signals" not in answer.degraded:
        errors.print("[yellow]Nothing is known of this user yet:[/yellow] the list is the same as any newcomer's.")
    for lack in dict.fromkeys((*missing, *(f"without {name}" for name in answer.degraded))):
        errors.print(f"[yellow]Note:[/yellow] {escape(lack)}")


def explain_(
    recommendation_id: Annotated[str, typer.Argument(help="An answer's recommendation_id.")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    last: Annotated[int, typer.Option(help="How many of the newest answers to look through.", min=1)] = 500_000,
) -> None:
    """Explain a past answer: who asked, what was known, why each item; and make it again to see that it holds."""
    require_data(settings_for(data, stack))
    settings = with_partitions_of_log(settings_for(data, stack))
    with open_dependencies(settings) as dependencies, steps() as show:
        match = find_in(dependencies.answers, recommendation_id, last, partial(show, "answers"))
    world = asyncio.run(_world(match.decision, settings))
    _print_record(match, world.state.catalogue)
    _verdict(explain(match.decision, world))


async def _world(decision: Decision, settings: CommandSettings) -> World:
    online = serving_settings(settings)
    async with stores_for(settings) as stores:
        return await read_world(
            decision,
            stores.signals,
            stores.models,
            partitions=settings.partitions,
            config=ranking_config(online),
            bare_items=online.bare_items,
            admit_after=online.admit_after,
            clock=time.time,
        )


def _print_record(match: DecisionMatch, catalogue: Catalogue) -> None:
    """Everything that the record itself says."""
    decision, name_of = match.decision, partial(_item_name, catalogue)
    _say(f"[bold]{escape(words.question(decision, name_of))}[/bold]")
    _say(f"asked for {escape(words.asker(decision))} at {decision.generated_at:%Y-%m-%d %H:%M:%S} UTC")
    _say(f"recorded at {match.token} of the answers, variant {escape(decision.variant)}, {len(decision.items)} items")
    _say(f"model {decision.model_version or 'none'}, settings {decision.config_id}")
    _say(f"aggregates {decision.aggregates_version}, catalogue {decision.catalogue_version}")
    if decision.same_as:
        _say(f"the list of answer {decision.same_as} was given again")
    if decision.degraded:
        _say(f"[yellow]made without:[/yellow] {escape(', '.join(decision.degraded))}")
    _print_user(decision, name_of)
    rows = [[name, words.outcome(source)] for name, source in decision.sources.items()]
    table("source", "what it did", rows=rows)
    _table(decision.items, catalogue, "What was shown")


def _print_user(decision: Decision, name_of: words.ItemNames) -> None:
    value, now = user_value(decision), decision.request.now
    _say(f"\nsignals at {decision.signals_offset or 'none'}: what the person had done until then")
    lines = [*words.events(value, now, name_of), *words.searches(value, now)]
    for line in lines or ["nothing that was known"]:
        _say(f"  {escape(line)}")
    if value.counters:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(value.counters.items()))
        _say(f"  in all: {escape(counts)}; {len(value.seen):,} items seen\n")


def _verdict(explanation: Explanation) -> None:
    """Whether the answer could be made again, and what stands in the way where it could not."""
    _say(f"\n[bold]Made again:[/bold] {escape(words.verdict(explanation))}")
    if explanation.moved:
        _say("Not as it was then:")
    for change in explanation.moved:
        _say(f"  {escape(change)}")


def _table(items: Sequence[DecidedItem], catalogue: Catalogue, title: str) -> None:
    rows = [
        [
            str(position),
            escape(item.item_id),
            escape(_title(catalogue, item.item_id)),
            f"{item.score:.3f}",
            escape(words.why(item.reasons, partial(_item_name, catalogue))),
        ]
        for position, item in enumerate(items, 1)
    ]
    table("", "item", "title", "score", "why", rows=rows, title=escape(title))


def _item_name(catalogue: Catalogue, item_id: str) -> str:
    """What people call an item."""
    return _title(catalogue, item_id) or item_id


def _title(catalogue: Catalogue, item_id: str) -> str:
    position = catalogue.position(item_id)
    item = None if position is None else catalogue.item(position)
    return "" if item is None else item.title or ""


def _say(line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
