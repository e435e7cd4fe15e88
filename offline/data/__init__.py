"""Data that trainings and evaluations read: the archive, interactions as a matrix, metadata, splits, drift.

It holds values and pure functions over them. Training, evaluation and publishing do not belong here.
Imports ``schemas``, ``signals``, ``models.structures`` and ``offline.metrics``.
"""
