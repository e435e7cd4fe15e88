"""Statistics that pages show as they are: best rated, most viewed, rising.

One SQL file a table, and the module that runs them. A model or an evaluation does not belong here.
Imports ``offline.interactions`` and ``offline.data``, and the trainer of predicted ratings.
"""
