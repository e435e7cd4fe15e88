"""Engines that a training runs on: one process (DuckDB, own solver) or Spark, with the options of a run.

An engine computes interactions, factors and lists; all engines give the same values.
Algorithms themselves are in ``offline.training``, the order of a run is in ``offline.jobs``.
Imports ``offline.training``, ``offline.interactions``, ``offline.data`` and the gate's thresholds.
"""
