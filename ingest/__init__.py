"""The ingest tier takes events, items and users over HTTP and from files, and alone appends them to the log.

``http/`` is the write API, ``importers/`` and ``import_pipeline/`` read data sets, ``validation/`` holds the rules
that every record passes, and ``simulator/`` invents the sample store. Code enters if it turns outside data into log entries.
It may import ``schemas`` and ``signals``. Only ``ingest.main`` also imports ``deploy.wiring``.
"""
