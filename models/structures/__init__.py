"""Shared structures of models: arrays as bytes, sparse rows, factors, trees, scored lists, kinds.

A structure knows no algorithm: it may be imported by every module of ``models`` and imports none of them.
Imports numpy, msgspec and ``schemas``.
"""
