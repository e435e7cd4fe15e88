"""Values on the log: topics and partitions, records and their offsets, codecs of events, dead letters, and the fence.

A value may enter if a record of a topic holds it, or if it names a position on the log.
It may import ``schemas.events`` and ``schemas.errors``, and nothing of the other packages.
"""
