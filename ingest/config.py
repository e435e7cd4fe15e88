"""The collector's settings: the only reader of the environment in this tier."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.events import ConsentMode
from schemas.http.settings import HttpSettings, Names


class IngestSettings(HttpSettings, BaseSettings):
    """Read from ``FRESHET_*`` variables; lists are separated by commas."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore", use_attribute_docstrings=True)

    collector_host: str = "127.0.0.1"
    """Address the collector listens on."""
    collector_port: Annotated[int, Field(ge=0, le=65_535)] = 8001
    """Port of the collector."""
    event_types: Names = ()
    """Types of events that this site adds."""
    personal_keys: Names = ()
    """Names of attributes and context that are left out beside the usual ones."""
    consent: ConsentMode = "off"
    """What becomes of events without consent (`context.consent`): `off` keeps them as they are, `refuse` refuses them, `anonymous` keeps them without ids."""
    rate_limit: Annotated[float, Field(ge=0)] = 0.0
    """Events a second that one client (address) may send; 0 is no limit."""
    rate_burst: Annotated[float, Field(ge=1)] = 1_000.0
    """Events that one client may send at once before the limit bites."""
    key_rate_limit: Annotated[float, Field(ge=0)] = 0.0
    """Events a second that may be sent with one key; 0 is no limit."""
    key_rate_burst: Annotated[float, Field(ge=1)] = 10_000.0
    """Events that may be sent with one key at once before the limit bites."""
    append_seconds: Annotated[float, Field(gt=0)] = 12.0
    """How long a request waits for the log; longer than the log's own deadline, which says more."""
    ledger_mib: Annotated[int, Field(ge=32)] = 1_024
    """How much of the data folder the ledger of imports may take, in MiB: 8 bytes a row. Beyond it, the oldest imported rows are forgotten, and count again if they are imported again."""
    retry_seconds: Annotated[int, Field(ge=1)] = 1
    """What Retry-After says when the log is busy."""
    user_export_minutes: Annotated[float, Field(gt=0)] = 15.0
    """Minutes after which an export of what is held on a user is given up. It reads the partitions of the log in which the user's events stand, from their beginning."""
    receipt_secret: SecretStr = SecretStr("")
    """Secret that signs the receipts of erasures and hashes people's ids in them. By default one in the data folder; set it where collectors run on several machines."""
