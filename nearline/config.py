"""Nearline's settings, from the environment (prefix FRESHET_)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.http.settings import HttpSettings


class NearlineConfig(HttpSettings, BaseSettings):
    """The worker's servers, ports and folder."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore")

    metrics_port: Annotated[int | None, Field(ge=0, le=65_535, description="Where metrics are served.")] = None
    metrics_host: Annotated[
        str, Field(description="Address where metrics are served; if others can reach it, the site needs a key.")
    ] = "127.0.0.1"
    worker_dir: Annotated[Path, Field(description="Faust's data folder.")] = (
        Path(tempfile.gettempdir()) / "freshet-worker"
    )
