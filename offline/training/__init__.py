"""Training: one file an algorithm, in a room by its method; each declares ALGORITHM and is discovered.

A trainer takes interactions and parameters and returns an immutable value of ``models``.
Imports ``models`` and ``offline.data``; it knows no engine, evaluation or job.
"""
