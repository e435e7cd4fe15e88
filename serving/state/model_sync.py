"""Watches the model store from a thread, and loads a newly active version, also after a rollback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import structlog

from schemas.background import BackgroundTask
from schemas.errors import UNREADABLE, FreshetError
from schemas.ports import ModelStore
from serving import metrics
from serving.state import model_bundle
from serving.state.model_bundle import ModelBundle

_log = structlog.get_logger(__name__)


class ModelSync:
    """Reads the active version every ``seconds``. ``adopt`` is called on the watcher's thread with each loaded version."""

    def __init__(self, store: ModelStore, adopt: Callable[[ModelBundle], None], seconds: float) -> None:
        self._store, self._adopt, self._seconds = store, adopt, seconds
        self._version: str | None = None
        self._refused: str | None = None
        self._stopped = self._reloading = False
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._task = BackgroundTask("following models")
        self.checked = False
        """True once the store has answered which version is active, if any."""
        self.lacking = True
        """True while no version is loaded although one is active, or although nobody knows whether one is."""

    def start(self) -> None:
        """Start the watcher's thread."""
        self._thread = threading.Thread(target=self._run, name="model-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the watcher; does not wait for a load in progress."""
        self._stopped = True
        self._woken.set()

    def reload(self) -> None:
        """Load the active version anew, at once, because values of it have changed. For any thread."""
        self._reloading = True
        self._woken.set()

    def check(self) -> None:
        """Check once; a failure leaves the served version unchanged."""
        with self._task.step():
            self._check()

    def _check(self) -> None:
        version = self._version
        reloading, self._reloading = self._reloading, False
        try:
            version = self._store.active()
            self.checked = True
            if version is not None and (reloading or version != self._version):
                models = model_bundle.load(self._store.manifest(version), partial(self._store.value, version))
                self._adopt(models)
                self._loaded(version)
            self.lacking = False
        except (FreshetError, OSError, *UNREADABLE) as error:
            self._reloading |= reloading
            self._failed(version, error)

    def _run(self) -> None:
        while not self._stopped:
            self._woken.clear()
            self.check()
            self._woken.wait(0.0 if self._stopped else self._task.pause(self._seconds))

    def _loaded(self, version: str) -> None:
        self._version, self._refused = version, None
        metrics.MODEL_LOADS.labels("ok").inc()
        _log.info("model_loaded", version=version)

    def _failed(self, version: str | None, error: Exception) -> None:
        self.lacking = self._version is None
        metrics.MODEL_LOADS.labels("failed").inc()
        name = version or "none"
        if self._refused != name:
            self._refused = name
            _log.warning("model_not_loaded", version=name, serving=self._version, error=str(error))
