"""Importers, one file for each data set: each maps the columns of its files to events, items and users.

A file dropped in this folder is discovered: it lists its classes in ``IMPORTERS``, and ``recognise`` finds them there.
No registry needs an edit. The machinery that all importers share stands in ``ingest.import_pipeline``.
They may import ``ingest.import_pipeline``, ``ingest.validation``, ``ingest.simulator`` and ``schemas``; never one another.
"""
