"""Statistics that pages show unchanged: best rated, most viewed, rising.

It holds one SQL file for each table, and the module that runs them. Models and evaluations do not belong here.
Imports ``offline.interactions`` and ``offline.data``, and the trainer of predicted ratings.
"""
