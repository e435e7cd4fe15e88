"""``freshet config``: the settings of this environment, without their secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from deploy.config import CommandSettings
from ingest.config import IngestSettings
from nearline.config import NearlineConfig
from offline.config import OfflineSettings
from schemas.configuration.secrets import MASK, is_secret, masked
from schemas.configuration.settings import read_settings
from serving.config import Settings as ServingSettings

_READERS: tuple[type[BaseModel], ...] = (
    CommandSettings,
    IngestSettings,
    NearlineConfig,
    OfflineSettings,
    ServingSettings,
)


class Shown(NamedTuple):
    """A setting as it may be shown to anybody."""

    variable: str
    value: str
    is_default: bool


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The settings of this environment.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(show)
    app.add_typer(group, name="config")


def show(
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from its default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show every setting as the processes read it here. Passwords and other secrets are shown as ***."""
    rows = [row for row in shown_settings() if not (changed and row.is_default)]
    if as_json:
        typer.echo(json.dumps({row.variable: row.value for row in rows}, indent=2))
        return
    for row in rows:
        typer.echo(f"{row.variable}={row.value}" + ("" if row.is_default else "  (set)"))


def shown_settings() -> Iterator[Shown]:
    """Every setting once, by name; raises ConfigurationInvalid."""
    found: dict[str, Shown] = {}
    for reader in _READERS:
        settings = read_settings(reader)
        for name, field in type(settings).model_fields.items():
            value = getattr(settings, name)
            found.setdefault(
                name, Shown(f"FRESHET_{name.upper()}", _text(field, value), is_default=value == field.default)
            )
    yield from (found[name] for name in sorted(found))


def _text(field: FieldInfo, value: Any) -> str:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return ",".join(_text(field, each) for each in value)
    if is_secret(field) and not isinstance(value, str):
        return MASK
    return masked(str(value))
