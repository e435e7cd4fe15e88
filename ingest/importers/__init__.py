"""Importers, one file a data set: each maps the columns of its files to events, items and users.

A file declares its classes in ``IMPORTERS`` and is discovered by ``recognise``; nothing else names it.
May import ``ingest.importing``, ``ingest.validation``, ``ingest.simulator`` and ``schemas``; never another importer.
"""
