"""The settings that all processes share, and the function that reads a process's settings.

Each tier's ``config.py`` adds its own settings and reads the environment (``FRESHET_<NAME>``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import NoDecode

from schemas.configuration.addresses import CASSANDRA, KAFKA, REDIS, SQLITE, Address, AnswerRetention, parse_address
from schemas.configuration.plugins import load_plugins
from schemas.configuration.secrets import MayHoldPassword, SecretFiles, is_secret, masked
from schemas.configuration.server_settings import ServerSettings
from schemas.configuration.site import DEFAULT_SITE
from schemas.errors import ConfigurationInvalid
from schemas.http.connection_settings import ConnectionSettings
from schemas.log.topics import DEFAULT_PARTITIONS
from schemas.values.ids import PLACEHOLDERS
from schemas.values.rating_scale import scale_of

S = TypeVar("S", bound=BaseModel)
Stack = Literal["embedded", "cluster"]


def comma_separated(value: Any) -> Any:
    """The parts of a comma-separated text, without blanks; any other value unchanged."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _checked_scale(text: str) -> str:
    try:
        return str(scale_of(text)) if text else ""
    except ConfigurationInvalid as error:
        raise ValueError(str(error)) from error


class SharedSettings(ServerSettings, ConnectionSettings):
    """The addresses of the log, the stores and the archive, and the settings on which a site's processes agree."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    stack: Stack = "embedded"
    """`embedded`: SQLite in the data folder. `cluster`: Kafka, Redis and Cassandra."""
    data: Path = Path("data/games")
    """The data folder: the embedded stack's files, and the archive unless `FRESHET_ARCHIVE` is set."""
    log: Annotated[str, MayHoldPassword()] = ""
    """The log, as a URL. By default `kafka://$FRESHET_KAFKA` (cluster) or `sqlite://$FRESHET_DATA` (embedded)."""
    signals: Annotated[str, MayHoldPassword()] = ""
    """The signal store, as a URL. By default `$FRESHET_REDIS` (cluster) or `sqlite://$FRESHET_DATA` (embedded)."""
    model_store: Annotated[str, MayHoldPassword()] = ""
    """The store of models and of job records, as a URL. By default `cassandra://$FRESHET_CASSANDRA` (cluster) or `sqlite://$FRESHET_DATA` (embedded)."""
    archive: Path | None = None
    """The folder of the Parquet archive. By default `archive/` in the data folder. `freshet schedule` writes it, trainings and workers read it: set it where they run on several machines."""
    snapshots: str = ""
    """Folder or fsspec address (`s3://bucket/snapshots`) of snapshots of the signals. Without it none are taken. All workers must reach it."""
    snapshot_minutes: Annotated[float, Field(gt=0)] = 15.0
    """Time between two snapshots of a partition that changes."""
    snapshot_keep: Annotated[int, Field(ge=1)] = 2
    """Number of snapshots of each partition that are kept."""
    snapshot_days: Annotated[float, Field(gt=0)] = 7.0
    """Days after which a snapshot is removed; set it below the log's retention. It bounds how long an erased person is in a snapshot."""
    values_in_parts: bool = True
    """Store the large values of users in two parts, so that an event writes only what changed. Set it to `false` while processes of a release without this setting run beside, and before going back to one."""
    idle_guest_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Days after which the value of a guest without events leaves the signal store; it is folded from the archive when the guest returns. 0: never. Users who signed in stay. It needs the archive."""
    prefix: Annotated[str, Field(min_length=1)] = DEFAULT_SITE
    """The site's name: before its topics, keys and keyspace."""
    partitions: Annotated[int, Field(ge=1, le=4096)] = DEFAULT_PARTITIONS
    """Partitions of every topic; fixed for the life of a log."""
    decision_days: Annotated[float, Field(gt=0)] = AnswerRetention().days
    """Days for which decision records are kept."""
    decision_mib: Annotated[int, Field(ge=1)] = AnswerRetention().mebibytes
    """Space for decision records, in MiB; the oldest are removed first. In a cluster: for each replica of the topic."""
    rating_scale: Annotated[str, AfterValidator(_checked_scale)] = ""
    """The lowest and the highest rating of the site: `1..5`. By default the scale that an import has noted, or `0..5`."""
    placeholder_ids: Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)] = PLACEHOLDERS
    """Texts that are no id of a guest or a session, comma-separated, in any case. Zeros and `[object Object]` are none either."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    plugins: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(comma_separated),
        AfterValidator(load_plugins),
        Field(validate_default=True),
    ] = ()
    """Modules of the site that add candidate sources or algorithms, comma-separated; Python must be able to import them."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[Any], init_settings: Any, env_settings: Any, *_: Any, **__: Any
    ) -> tuple[Any, ...]:
        """Where a process's settings come from: the environment, and the files that it names for secrets."""
        return init_settings, SecretFiles(settings_cls), env_settings

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What ``repr`` shows: an address without its password, because settings may end up in a log as an argument."""
        fields = type(self).model_fields
        for name, value in super().__repr_args__():
            hides = name in fields and isinstance(value, str) and is_secret(fields[name])
            yield name, masked(value) if hides else value

    @property
    def log_address(self) -> Address:
        """The address of the log; raises ConfigurationInvalid."""
        address = self._address(self.log, f"{KAFKA}://{self.kafka}")
        return (
            address._replace(access=self.kafka_access(), durability=self.copies())
            if address.scheme == KAFKA
            else address
        )

    @property
    def signals_address(self) -> Address:
        """The address of the signal store; raises ConfigurationInvalid."""
        address = self._address(self.signals, self.redis)
        if not address.scheme.startswith(REDIS):
            return address
        return address._replace(access=self.redis_access(address.url), durability=self.copies())

    @property
    def models_address(self) -> Address:
        """The address of models, leases, records of runs and documents; raises ConfigurationInvalid."""
        address = self._address(self.model_store, f"{CASSANDRA}://{self.cassandra}")
        return (
            address._replace(access=self.cassandra_access(), durability=self.copies())
            if address.scheme == CASSANDRA
            else address
        )

    @property
    def archive_address(self) -> Address:
        """The address of the archive."""
        return Address("file", str(self.archive or self.data / "archive"), self.prefix, self.partitions)

    def _address(self, chosen: str, on_servers: str) -> Address:
        """The chosen address, or the default of the stack."""
        default = on_servers if self.stack == "cluster" else f"{SQLITE}://{self.data}"
        answers = AnswerRetention(self.decision_days, self.decision_mib)
        return parse_address(chosen or default, self.prefix, self.partitions, answers)


def read_settings(settings: type[S]) -> S:
    """The settings of this process; raises ConfigurationInvalid, which names the variable at fault."""
    try:
        return settings()
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).removeprefix("FRESHET_").upper()
        raise ConfigurationInvalid(f"FRESHET_{name}: {fault['msg']}") from error
