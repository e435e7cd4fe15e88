"""Erasure and export of what is held on one person.

A module may enter if it decides what belongs to a person, what becomes of it, or what is told about it. It reaches
stores by ports only, and may import ``schemas``, ``signals``, ``models`` and ``ingest.validation``.
"""
