"""The agreement between the tiers: values, topics, keys, table definitions, codecs, ports, settings and named errors.

``log/`` holds the values on the log, ``http/`` what both HTTP tiers share; ``cql/``, ``sql/`` and ``json/`` are definitions as files.
Only declarations and pure functions may enter: no I/O, no drivers, no clock. It imports nothing of the other packages.
"""
