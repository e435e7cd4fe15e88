"""Values on the log: topics and partitions, records and their offsets, codecs of events, dead letters, and the fence.

A value may enter if a record of a topic holds it, or if it names a place on the log.
May import ``schemas.events``, ``schemas.errors`` and nothing of the other packages.
"""
