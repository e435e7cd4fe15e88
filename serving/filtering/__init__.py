"""The filter language over item fields: parsing, and evaluation on columns.

What may enter: expressions, and the typed columns that they read. No request handling and no ranking.
An expression is parsed once and kept; it is evaluated for all items at once.
May import: ``serving.arrays``, ``models.structures``, ``schemas``.
"""
