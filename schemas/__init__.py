"""The agreement between the tiers: values, topics, keys, table definitions, codecs, ports, settings and named errors.

``log/`` holds the values on the log, ``http/`` the code of both HTTP tiers. ``cql/``, ``sql/`` and ``json/`` hold files
of definitions. Declarations and pure functions may enter; I/O, drivers and clocks may not.
It imports nothing of the other packages.
"""
