"""Imports any data set: reads its files, sorts events by time, filters, appends to the log, and resumes after a kill.

This room holds the machinery that all data sets share. The columns of one data set stand in ``ingest.importers``.
It may import ``ingest.validation``, ``ingest.metrics``, ``signals`` (one bound) and ``schemas``; never an importer.
"""
