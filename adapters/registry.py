"""Finds the adapter of an address by its URL scheme.

An adapter is one file of this package that declares ``ADAPTER = Adapter(("kafka",), log_writer=..., ...)``. Several files
may declare the same scheme; each then offers some of its ports. The registry finds declarations by reading the files. It
imports a file, and with it the driver, only when an address of its scheme is opened.
"""

from __future__ import annotations

import ast
import importlib
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, NoReturn

from schemas.configuration.addresses import Address
from schemas.configuration.drivers import missing_driver
from schemas.errors import ConfigurationInvalid, DriverMissing
from schemas.ports import (
    Archive,
    Documents,
    Lease,
    ListReader,
    LogReader,
    LogWriter,
    ModelStore,
    NonceStore,
    Rewritable,
    RunStore,
    SignalReader,
    SignalStore,
)

_NAME: Final = "ADAPTER"
_READING: Final = threading.Lock()


def _offers_no(port: str) -> Callable[[Address], Any]:
    """Returns an opener that refuses: no file of the scheme offers this port."""

    def refuse(address: Address) -> NoReturn:
        raise ConfigurationInvalid(f"there is no {port} at {address.scheme}:// addresses: choose another scheme")

    return refuse


class Adapter(NamedTuple):
    """The ports that can be opened at addresses of these schemes; each opener takes the address."""

    schemes: tuple[str, ...]
    log_writer: Callable[[Address], LogWriter] = _offers_no("log")
    log_reader: Callable[[Address], LogReader] = _offers_no("log")
    own_answer_writer: Callable[[Address], LogWriter] | None = None
    """Appends decision records alone; shares no queue with events. None: records are appended as events are."""
    own_answer_readers: Callable[[Address], Sequence[LogReader]] | None = None
    """Read decision records; a place where they were kept formerly comes last. None: they are read as events are."""
    signal_store: Callable[[Address], SignalStore] = _offers_no("signal store")
    signal_reader: Callable[[Address], SignalReader] = _offers_no("signal store")
    nonce_store: Callable[[Address], NonceStore] = _offers_no("store of nonces")
    model_store: Callable[[Address], ModelStore] = _offers_no("model store")
    list_reader: Callable[[Address], ListReader] = _offers_no("model store")
    lease: Callable[[Address], Lease] = _offers_no("store of leases")
    runs: Callable[[Address], RunStore] = _offers_no("store of job runs")
    documents: Callable[[Address], Documents] = _offers_no("store of documents")
    archive: Callable[[Address], Archive] = _offers_no("archive")
    rewritable: Callable[[Address], Sequence[Rewritable]] = lambda _: ()
    """The records of this address that can be erased in place: first those of the log. Empty: they expire."""
    days_kept: Callable[[Address, str], float | None] = lambda _, __: None
    """Days after which the last record of a topic is gone for sure; None: it is kept for ever."""
    scrub: Callable[[Address, Sequence[bytes]], bool] = lambda _, __: True
    """Overwrites what removed rows have left in files. False: these texts are still found there; call it again later."""
    prepare: Callable[[Address], None] = lambda _: None
    """Creates missing topics or tables. Raises ServerMissing or StoreUnavailable if the server does not reply."""

    def answer_writer(self, address: Address) -> LogWriter:
        """Appends decision records."""
        return (self.own_answer_writer or self.log_writer)(address)

    def answer_readers(self, address: Address) -> Sequence[LogReader]:
        """Read decision records, the place of the newest first."""
        return self.own_answer_readers(address) if self.own_answer_readers else [self.log_reader(address)]


def adapter(address: Address) -> Adapter:
    """All ports that can be opened at addresses of this scheme; raises ConfigurationInvalid, DriverMissing."""
    modules = declarations().get(address.scheme)
    if modules is None:
        known_schemes = ", ".join(sorted(declarations()))
        raise ConfigurationInvalid(
            f"no adapter is declared for {address.scheme}:// addresses; there are {known_schemes}"
        )
    return _joined(address.scheme, modules)


def declarations() -> Mapping[str, tuple[str, ...]]:
    """The modules that declare each scheme, in alphabetical order. For any thread."""
    # CPython 3.11 raises SystemError where two threads parse source at the same time, and a process then ends at its start.
    with _READING:
        return _read_declarations()


@cache
def _read_declarations() -> Mapping[str, tuple[str, ...]]:
    modules: dict[str, tuple[str, ...]] = defaultdict(tuple)
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        module = ".".join((__package__, *path.relative_to(package).with_suffix("").parts))
        for scheme in _declared_schemes(path.read_text(encoding="utf-8")):
            modules[scheme] += (module,)
    return dict(modules)


def _declared_schemes(source: str) -> tuple[str, ...]:
    """The schemes that a file declares, read without importing it."""
    if f"\n{_NAME}" not in source:
        return ()
    for statement in ast.parse(source).body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[schemes, *_]))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(args=[schemes, *_]))
            ) if name == _NAME:
                return tuple(ast.literal_eval(schemes))
    return ()


def _imported(module: str) -> ModuleType:
    """The module with its driver; raises DriverMissing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if (sentence := missing_driver(error)) is None:
            raise
        raise DriverMissing(sentence) from error


@cache
def _joined(scheme: str, modules: tuple[str, ...]) -> Adapter:
    """The declarations of several modules as one."""
    offered: dict[str, Any] = {}
    for module in modules:
        declaration: Adapter = getattr(_imported(module), _NAME)
        defaults = declaration._field_defaults
        offered |= {port: opener for port, opener in declaration._asdict().items() if opener is not defaults.get(port)}
    return Adapter(**offered | {"schemes": (scheme,)})
