"""Settings of the ``freshet`` command and of the processes that it starts. Only this module reads the environment here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, TypeVar

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.configuration.settings import SharedSettings, read_settings
from schemas.http.settings import HttpSettings

T = TypeVar("T", bound=SharedSettings)


class CommandSettings(HttpSettings, BaseSettings):
    """Read from ``FRESHET_*`` variables; the addresses are those of ``make stack`` unless said otherwise."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", extra="ignore", use_attribute_docstrings=True)

    log_level: str = "WARNING"
    """DEBUG, INFO, WARNING or ERROR."""
    api_key: SecretStr = SecretStr("")
    """The key that commands send which call a collector, such as `freshet simulate`."""

    def with_servers(self, addresses: Mapping[str, str]) -> Self:
        """The same settings for a cluster at these addresses, by variable: ``FRESHET_KAFKA`` and so on."""
        servers = {name: addresses.get(f"FRESHET_{name.upper()}") for name in ("kafka", "redis", "cassandra")}
        given = {name: address for name, address in servers.items() if address is not None}
        return self.model_copy(update={"stack": "cluster", **given})


def settings_of_tier(tier: type[T], settings: SharedSettings) -> T:
    """A tier's settings with the stack, data folder and addresses of these; raises ConfigurationInvalid."""
    shared = {name: getattr(settings, name) for name in SharedSettings.model_fields if name != "log_level"}
    return read_settings(tier).model_copy(update=shared)
