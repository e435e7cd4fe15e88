"""``freshet up``, ``freshet demo``, ``freshet cluster-demo``: whole systems in the foreground."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.markup import escape

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, settings_for, steps
from deploy.commands.importing import import_into
from deploy.commands.stack import require_plain
from deploy.config import CommandSettings, settings_of_tier
from deploy.embedded.app import nearline
from deploy.embedded.serve import listen, serve
from deploy.local import stack
from deploy.local.config import StackConfig
from deploy.processes import cluster
from deploy.processes.schedule import scheduling
from deploy.wiring.access import INSECURE
from deploy.wiring.dependencies import Dependencies, open_dependencies, prepare
from deploy.wiring.pseudonyms import check_pepper
from deploy.wiring.training import archive_by_spark, train_in
from ingest.importers.recognise import recognise
from offline.engines.engine import EngineName
from schemas.catalogue import decode_upsert
from schemas.errors import ConfigurationInvalid, SparkFailed, Undecodable
from schemas.log import topics
from schemas.ports import LogReader
from serving.config import Settings as ServingSettings

_ITEMS_LOOKED_AT: Final = 100
"""Records of a partition that are searched for an item to name in the announcement."""

Host = Annotated[str, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)]
Dataset = Annotated[Path | None, typer.Argument(help="A data set's folder; the sample game shop without it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)
    app.command("cluster-demo")(cluster_demo)


def up(
    data: Data = DEFAULT_FOLDER,
    host: Host = "127.0.0.1",
    port: PortOption = 8000,
    stack: StackName = None,
    page: Annotated[bool, typer.Option("--page", help="Also serve the demo page at `/`.")] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check access: whoever reaches the port may do everything.")
    ] = False,
    scheduled: Annotated[
        bool, typer.Option("--schedule", help="Also train when it is due, as `freshet schedule`.")
    ] = False,
) -> None:
    """Run all tiers in one process in the foreground; Ctrl-C ends it."""
    settings = settings_for(data, stack)
    if settings.stack == "cluster":
        raise ConfigurationInvalid(
            "`freshet up` is the embedded stack; `freshet cluster-demo` runs the cluster's processes"
        )
    serving = settings_of_tier(ServingSettings, settings)
    changes = {"host": host, "page": page or serving.page, "insecure": insecure or serving.insecure}
    serving = serving.model_copy(update=changes)
    if serving.insecure:
        errors.print(f"[yellow]Insecure:[/yellow] {INSECURE}.", highlight=False, soft_wrap=True)
    with listen(host, port) as listener, nearline(settings) as running, ExitStack() as contexts:
        check_pepper(settings.pseudonyms, contexts.enter_context(open_dependencies(settings)))
        if scheduled:
            contexts.enter_context(scheduling(settings))
        sentence = f"Freshet on {_scheme(settings)}://{host}:{port}, its data in {data}. Ctrl-C ends it."
        serve(running, listener, serving, lambda: console.print(sentence, soft_wrap=True))


def demo(dataset: Dataset = None, port: PortOption = 8000) -> None:
    """The sample store (or a data set) with a trained model and a page to try, in the foreground."""
    settings = settings_for(_folder(dataset), "embedded")
    address = f"{_scheme(settings)}://127.0.0.1:{port}"
    # Nearline runs from the start, so that signals keep up with the import instead of following the training.
    with listen("127.0.0.1", port) as listener, nearline(settings) as running:
        with open_dependencies(settings) as dependencies:
            _prepare(dependencies, settings, dataset)
            item = _some_item(dependencies.reader)
        _announce(address, address, item)
        serve(running, listener, settings_of_tier(ServingSettings, settings).model_copy(update=_demo_changes(dataset)))


def _scheme(settings: CommandSettings) -> str:
    return "http" if settings.own_certificate() is None else "https"


def _demo_changes(dataset: Path | None) -> dict[str, Any]:
    """The settings of the demo: everything that can be shown is shown, on this machine alone."""
    shown = dict.fromkeys(("page", "page_users", "similar_users", "docs"), True)
    return shown | {"host": "127.0.0.1", "log_level": "WARNING", "currency": "$" if dataset is None else ""}


def cluster_demo(
    dataset: Dataset = None,
    port: PortOption = 8000,
    engine: Annotated[EngineName, typer.Option(help="What trains the first model.")] = "spark",
) -> None:
    """The demo on real Kafka, Redis, Spark and Cassandra: every tier a process of its own, in the foreground."""
    require_plain(settings_for(stack="cluster"), ("tls_certificate", "tls_key"))
    config = StackConfig()
    stack.start(config, report=console.print)
    folder = Path("data") / f"cluster-{_folder(dataset).name}"
    settings = settings_for(folder, "cluster").with_servers(config.environment())
    prepare(settings)
    running = cluster.start(settings, folder, cluster.Ports(api=port, collector=port + 1))
    try:
        with open_dependencies(settings) as dependencies:
            _prepare(dependencies, settings, dataset, engine)
            item = _some_item(dependencies.reader)
        _wait_until_ready(running.api)
        _announce(running.api, running.collector, item)
        _wait_for_end()
    finally:
        console.print("Ending the processes; `make stack-stop` ends the servers.")
        running.supervisor.stop()


def _prepare(
    dependencies: Dependencies, settings: CommandSettings, dataset: Path | None, engine: EngineName = "auto"
) -> None:
    begun = time.monotonic()
    imported = import_into(dependencies, settings.data, None if dataset is None else recognise(dataset))
    if imported.total.kept:
        console.print(f"{imported.total.kept:,} records on the log.")
    if dependencies.models.active() is None and _train_first(dependencies, settings, engine):
        console.print(f"Ready after {time.monotonic() - begun:.0f} s.")


def _train_first(dependencies: Dependencies, settings: CommandSettings, engine: EngineName) -> bool:
    """True if a model was trained. Without one the demo serves what is popular, and what signals say."""
    try:
        with steps() as show:
            archive_by_spark(dependencies, settings, engine, show)
            train_in(dependencies, engine, force=False, progress=show)
    except SparkFailed as error:
        errors.print(f"[yellow]There is no model yet:[/yellow] {escape(str(error))}.", highlight=False, soft_wrap=True)
        return False
    return True


def _folder(dataset: Path | None) -> Path:
    """The settings' own folder for the sample store, and one of its own for a data set."""
    return settings_for().data if dataset is None else Path("data") / dataset.resolve().name


def _some_item(reader: LogReader) -> str:
    """An item that the log says something of."""
    for partition in range(reader.partitions(topics.ITEMS)):
        for record in reader.read(topics.ITEMS, partition, 0, _ITEMS_LOOKED_AT):
            try:
                return decode_upsert(record.value or b"").id
            except Undecodable:
                continue
    return "an-item"


def _announce(api: str, collector: str, item: str) -> None:
    like = orjson.dumps({"type": "like", "user_id": "you", "item_id": item}).decode()
    console.print(f"\nOpen [bold]{api}[/bold] in a browser, or ask it yourself:\n")
    for line in (
        f"curl '{api}/v1/users/you/recommendations?count=5'",
        f"curl -H 'Content-Type: application/json' -d '{like}' {collector}/v1/events",
        f"curl '{api}/v1/users/you/recommendations?count=5&after=TOKEN'   # put the offset that it printed for TOKEN",
    ):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print("\nCtrl-C ends it; the data stays.\n")


def _wait_until_ready(api: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    with errors.status("Waiting until signals have caught up ..."):
        while not cluster.ready(api) and time.monotonic() < deadline:
            time.sleep(0.2)


def _wait_for_end() -> None:
    ended = threading.Event()
    end: Callable[[int, object], None] = lambda *_: ended.set()  # noqa: E731
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    ended.wait()
