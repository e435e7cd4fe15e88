"""The embedded stack: all tiers in one process on one data folder.

``app`` assembles the application, ``serve`` runs it. Code enters if it joins tiers in one process.
It may import every tier and ``deploy.wiring``.
"""
