"""Data that trainings and evaluations read: the archive, interactions as a matrix, metadata, splits, drift.

Values and pure functions over them. What trains a model, measures it or publishes it does not belong here.
Imports ``schemas``, ``signals``, ``models.structures`` and ``offline.metrics``.
"""
