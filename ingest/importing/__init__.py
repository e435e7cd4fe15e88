"""How data sets are imported, whichever they are: reading files, sorting by time, filtering, appending, resuming.

What knows the columns of one data set does not stand here but in ``ingest.importers``.
May import ``ingest.validation``, ``ingest.metrics``, ``signals`` (one bound) and ``schemas``; never an importer.
"""
