"""Code of both HTTP tiers: problem details, bodies, cursors, the hot path, and the answers of the write API.

Code enters if the collector and the online API both use it, or if a client of one reads it.
It may import Starlette and ``schemas``, and nothing of the other packages.
"""
