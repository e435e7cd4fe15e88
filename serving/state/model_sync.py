"""Watching the model store from a thread: a new active version, or a rollback, is loaded and handed over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import structlog

from schemas.errors import FreshetError
from schemas.ports import ModelStore
from serving import metrics
from serving.state import model_bundle
from serving.state.model_bundle import ModelBundle

_log = structlog.get_logger(__name__)


class ModelSync:
    """Looks at the pointer every ``seconds``. ``adopt`` is called on the watcher's thread with a loaded version."""

    def __init__(self, store: ModelStore, adopt: Callable[[ModelBundle], None], seconds: float) -> None:
        self._store, self._adopt, self._seconds = store, adopt, seconds
        self._version: str | None = None
        self._refused: str | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.looked = False
        """Whether the store has told which version is active, or that none is."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._run, name="model-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch; a load that is under way is not waited for."""
        self._stopped.set()

    def check(self) -> None:
        """Look once; a failure leaves the version that is being served."""
        version = self._version
        try:
            version = self._store.active()
            self.looked = True
            if version is not None and version != self._version:
                models = model_bundle.load(self._store.manifest(version), partial(self._store.value, version))
                self._adopt(models)
                self._taken(version)
        except (FreshetError, OSError, ValueError, KeyError) as error:
            self._failed(version, error)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.check()
            self._stopped.wait(self._seconds)

    def _taken(self, version: str) -> None:
        self._version, self._refused = version, None
        metrics.MODEL_LOADS.labels("ok").inc()
        _log.info("model_loaded", version=version)

    def _failed(self, version: str | None, error: Exception) -> None:
        metrics.MODEL_LOADS.labels("failed").inc()
        name = version or "none"
        if self._refused != name:
            self._refused = name
            _log.warning("model_not_loaded", version=name, serving=self._version, error=str(error))
