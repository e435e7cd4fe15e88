"""Engines on which a training runs: this process (DuckDB and our solver), or Spark. And the options of a training.

An engine computes interactions, factors and lists. All engines give the same interactions and lists.
The algorithms are in ``offline.training``, the steps of a training in ``offline.jobs``.
Imports ``offline.training``, ``offline.interactions``, ``offline.data`` and the gate's thresholds.
"""
