"""The composition root: the one room that turns settings into a process's dependencies.

Every tier's ``main.py``, every command and ``freshet up`` get the log, the stores and the archive here.
Code enters if it opens, assembles or closes dependencies; decisions about events or ranking may not enter.
It imports ``adapters``, ``schemas``, and the settings and dependency tuples of the tiers.
"""
