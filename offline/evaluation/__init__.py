"""Evaluation: splits by protocol, sealed tests, ranking metrics, intervals, tuning, comparison reports.

An evaluation trains through ``offline.training`` and measures; it publishes nothing.
Imports ``offline.training``, ``offline.data`` and ``models``.
"""
