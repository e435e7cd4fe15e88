"""The one place that turns settings into a process's dependencies.

Every tier's ``main.py``, every command and ``freshet up`` ask here for the log, the stores and the archive.
What may enter: functions and classes that open, assemble and close dependencies. No decisions about events or ranking.
It imports ``adapters.registry``, ``schemas`` and the settings and dependency tuples of the tiers.
"""
