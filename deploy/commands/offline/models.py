"""``freshet models``: versions, and which one is active."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from deploy.access.changes import write_audit
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, open_existing, steps
from deploy.wiring.dependencies import Dependencies
from deploy.wiring.training import jobs_of, receive_in, tell
from offline.config import OfflineSettings
from offline.evaluation import metric_names
from offline.jobs.training_state import ChosenVersion, note_chosen
from offline.publishing import publish
from offline.publishing.external_models import ExternalModelKind, ExternalModelOptions, external_model_of
from offline.publishing.upload_api import read_parquet
from offline.publishing.webhooks import Notice
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid, ExportFailed, LogUnavailable, VersionUnknown
from schemas.offline.manifest import Manifest
from schemas.ports import ModelStore

Version = Annotated[str, typer.Argument(help="A version, as `list` shows it, or how only one begins.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Model versions, and which one answers.", no_args_is_help=True)
    group.command("list")(list_versions)
    group.command()(show)
    group.command()(promote)
    group.command()(rollback)
    group.command()(hold)
    group.command()(export)
    group.command("publish")(publish_file)
    app.add_typer(group, name="models")


def list_versions(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """List the versions, newest first; the active one and the one held ready are marked."""
    with open_existing(data, stack) as dependencies:
        active, challenger, versions = (
            dependencies.models.active(),
            dependencies.models.challenger(),
            dependencies.models.versions(),
        )
    if not versions:
        console.print("There is no model yet; `freshet train` makes one.")
        return
    for manifest in versions:
        mark = "*" if manifest.version == active else "+" if manifest.version == challenger else " "
        description = f"{manifest.algorithm} by {manifest.engine}, {manifest.window.interactions:,} interactions"
        typer.echo(f"{mark} {manifest.version}  {description}{_quality(manifest)}")
    typer.echo("* answers now" if active else "None is active.")
    if challenger is not None:
        typer.echo("+ is held ready")


def _quality(manifest: Manifest) -> str:
    """The main metrics, each beside popularity's."""
    names = [name for name in ("HR@10", "NDCG@10") if name in manifest.metrics]
    return "".join(f", {name} {manifest.metrics[name]:.3f}{_baseline(manifest, name)}" for name in names)


def _baseline(manifest: Manifest, name: str) -> str:
    popular = manifest.metrics.get(metric_names.BASELINE + name)
    return "" if popular is None else f" (popularity {popular:.3f})"


def _full_version(models: ModelStore, begin: str) -> str:
    """The one version that is, or begins, so; raises VersionUnknown."""
    versions = [manifest.version for manifest in models.versions() if manifest.version.startswith(begin)]
    if begin in versions:
        return begin
    if len(versions) != 1:
        how = "more than one version begins" if versions else "no version begins"
        raise VersionUnknown(f"{how} with {begin!r}: `freshet models list` shows them")
    return versions[0]


def show(version: Version, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Show a version's manifest as JSON."""
    with open_existing(data, stack) as dependencies:
        manifest = dependencies.models.manifest(_full_version(dependencies.models, version))
    console.print_json(msgspec.json.encode(manifest).decode())


def promote(version: Version, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Make a version the active one."""
    with open_existing(data, stack) as dependencies:
        version, previous = _full_version(dependencies.models, version), dependencies.models.active()
        publish.promote(dependencies.models, dependencies.writer, version, time.time())
        _note_chosen(dependencies, version, "promoted")
        tell(dependencies, Notice.of("model.promoted", version, previous, time.time()))
        _audit(dependencies, "models promote", previous, version)
    console.print(f"{version} is active.")


def publish_file(
    file: Annotated[Path, typer.Argument(help="A Parquet file.", dir_okay=False)],
    kind: Annotated[ExternalModelKind, typer.Option(help="What its rows are.")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    regularization: Annotated[float, typer.Option(help="Of factors: what fold-in regularizes by.", min=0)] = 1.0,
    alpha: Annotated[float, typer.Option(help="Of factors: confidence of an interaction is 1 + alpha.", min=0)] = 1.0,
) -> None:
    """Publish similarities, lists or factors of an external model, as a new version on the active one's other values.

    Columns: neighbours item_id, neighbour_id, score; lists user_id, item_id, score; factors of (user or item), id,
    vector.
    """
    settings = read_settings(OfflineSettings)
    options = ExternalModelOptions(
        user_list=settings.list_length,
        item_list=settings.similar_length,
        regularization=regularization,
        alpha=alpha,
        pseudonyms=settings.pseudonyms,
    )
    external_model = external_model_of(kind, read_parquet(file), options)
    with open_existing(data, stack) as dependencies, steps() as show:
        manifest = receive_in(dependencies, kind, external_model, show)
    console.print(f"Version {manifest.version} is active: {kind} of {external_model.rows:,} rows.")


def hold(
    version: Annotated[str | None, typer.Argument(help="A version; without one, none is held ready any more.")] = None,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
) -> None:
    """Hold a version ready beside the active one: it does not expire."""
    with open_existing(data, stack) as dependencies:
        full_version = None if version is None else _full_version(dependencies.models, version)
        dependencies.models.hold(full_version)
    console.print("None is held ready." if full_version is None else f"{full_version} is held ready.")


def export(
    version: Annotated[str | None, typer.Argument(help="A version; the active one by default.")] = None,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
) -> None:
    """Write a version as Parquet to every place of FRESHET_EXPORT that does not have it."""
    with open_existing(data, stack) as dependencies:
        exports = jobs_of(dependencies).exports
        if not exports:
            raise ConfigurationInvalid("FRESHET_EXPORT names no place to export to: set it to a folder or an address")
        full_version = dependencies.models.active() if version is None else _full_version(dependencies.models, version)
        if full_version is None:
            raise VersionUnknown("no version is active: name one, as `freshet models list` shows it")
        failures = exports.export(dependencies.models, full_version)
    if failures:
        raise ExportFailed("; ".join(failures))
    console.print(f"{full_version} is exported.")


def _note_chosen(dependencies: Dependencies, version: str, how: Literal["promoted", "rolled_back"]) -> None:
    note_chosen(dependencies.documents, ChosenVersion(version=version, how=how, at=datetime.now(UTC)))


def rollback(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Go back to the version before the active one."""
    with open_existing(data, stack) as dependencies:
        previous = dependencies.models.active()
        manifest = publish.rollback(dependencies.models, dependencies.writer, time.time())
        _note_chosen(dependencies, manifest.version, "rolled_back")
        tell(dependencies, Notice.of("model.rolled_back", manifest.version, previous, time.time()))
        _audit(dependencies, "models rollback", previous, manifest.version)
    console.print(f"{manifest.version} is active again.")


def _audit(dependencies: Dependencies, action: str, before: str | None, after: str) -> None:
    """Records who made another version the active one. The version is active whether the log takes the record or not."""
    try:
        write_audit(
            dependencies.writer, now=time.time(), action=action, target="active model", before=before, after=after
        )
    except LogUnavailable as error:
        errors.print(f"[yellow]This is not in the audit log: {error}[/yellow]")
