"""Models: immutable learned values with their inference, in numpy only. ``offline.training`` trains them.

A file dropped in this folder whose class declares a ``kind`` is discovered (``models.structures.kinds``); no list needs an
edit.
"""
