"""The log, the stores and the archive that a process's settings name. Each opens at first use; all close together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from adapters.registry import adapter
from schemas.configuration.addresses import Address
from schemas.configuration.settings import SharedSettings
from schemas.ports import (
    Archive,
    Documents,
    Lease,
    LogReader,
    LogWriter,
    ModelStore,
    RunStore,
    SignalStore,
    SnapshotStore,
)


class _Closeable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closeable)


class Dependencies:
    """The log, stores and archive of a tier or command. Each property opens its adapter once.

    Opening raises ConfigurationInvalid, ServerMissing and the unavailability error of the port.
    """

    def __init__(self, settings: SharedSettings, opened: ExitStack) -> None:
        self._settings, self._opened = settings, opened

    @property
    def folder(self) -> Path:
        """The data folder of the process."""
        return self._settings.data

    @cached_property
    def writer(self) -> LogWriter:
        """Appends to the log."""
        address = self._settings.log_address
        return self._closed_at_end(adapter(address).log_writer(address))

    @cached_property
    def reader(self) -> LogReader:
        """Reads the log."""
        address = self._settings.log_address
        return self._closed_at_end(adapter(address).log_reader(address))

    @cached_property
    def answers(self) -> Sequence[LogReader]:
        """Read decision records."""
        address = self._settings.log_address
        return [self._closed_at_end(reader) for reader in adapter(address).answer_readers(address)]

    @cached_property
    def signals(self) -> SignalStore:
        """The signal store."""
        address = self._settings.signals_address
        return self._closed_at_end(adapter(address).signal_store(address))

    @cached_property
    def models(self) -> ModelStore:
        """The model store."""
        address = self._settings.models_address
        return self._closed_at_end(adapter(address).model_store(address))

    @cached_property
    def archive(self) -> Archive:
        """The Parquet archive."""
        address = self._settings.archive_address
        return adapter(address).archive(address)

    @cached_property
    def snapshots(self) -> SnapshotStore | None:
        """The snapshots of signals; None where ``FRESHET_SNAPSHOTS`` names no place."""
        if not self._settings.snapshots:
            return None
        from adapters.parquet.snapshots import ParquetSnapshots  # a process without snapshots needs no Arrow

        return ParquetSnapshots(self._settings.snapshots, self._settings.prefix)

    @cached_property
    def lease(self) -> Lease:
        """Lets one process at a time do a job."""
        address = self._settings.models_address
        return self._closed_at_end(adapter(address).lease(address))

    @cached_property
    def runs(self) -> RunStore:
        """The records of job runs."""
        address = self._settings.models_address
        return self._closed_at_end(adapter(address).runs(address))

    @cached_property
    def documents(self) -> Documents:
        """The documents that jobs publish."""
        address = self._settings.models_address
        return self._closed_at_end(adapter(address).documents(address))

    def _closed_at_end(self, opened: C) -> C:
        return self._opened.enter_context(closing(opened))


@contextmanager
def open_dependencies(settings: SharedSettings) -> Iterator[Dependencies]:
    """The dependencies that the settings name; whatever was opened is closed at the end."""
    with ExitStack() as opened:
        yield Dependencies(settings, opened)


def prepare(settings: SharedSettings) -> None:
    """Make topics, keyspace and tables where they are missing; raises ServerMissing, ConfigurationInvalid."""
    _prepare(settings.log_address, settings.models_address)


def prepare_worker(settings: SharedSettings) -> None:
    """Check that the signal store answers, and make topics that are missing; raises as ``prepare``, StoreUnavailable."""
    _prepare(settings.signals_address, settings.log_address)


def prepare_log(settings: SharedSettings) -> None:
    """Make topics that are missing; raises as ``prepare``."""
    _prepare(settings.log_address)


def prepare_online(settings: SharedSettings) -> None:
    """Check for the online API what the collector and the workers check: topics, keyspace and tables. Raises as ``prepare_stores``."""
    _prepare(settings.log_address, settings.signals_address, settings.models_address)


def prepare_stores(settings: SharedSettings) -> None:
    """Check that the stores answer, and make keyspace and tables that are missing; raises as ``prepare``, StoreUnavailable."""
    _prepare(settings.signals_address, settings.models_address)


def _prepare(*addresses: Address) -> None:
    for address in addresses:
        adapter(address).prepare(address)
