"""Signals: bounded values about users, items and partitions, folded from the events of the log.

Each file holds one value: what it keeps, its fold ``(value, event) -> value``, and how the values of partitions merge.
A file of ``kinds`` that declares an aggregate as ``KIND`` is discovered by ``signals/aggregates.py``; no list needs an edit.
Only pure functions may enter. They read no clock, store, model or catalogue; weights and ``now`` come in at reading.
Nearline runs the folds; serving and replay read the values. May import ``schemas`` only.
"""
