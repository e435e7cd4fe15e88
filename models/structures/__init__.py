"""Shared structures of models: arrays as bytes, sparse rows, factors, trees, scored lists, kinds.

A structure depends on no algorithm. Every module of ``models`` may import it, and it imports none of them.
Imports numpy, msgspec and ``schemas``.
"""
