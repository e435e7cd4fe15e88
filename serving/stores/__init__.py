"""Reads from stores during a request, each with a deadline and a circuit breaker.

What may enter: readers of user values, precomputed lists and statistics, over the ports of ``schemas``; no drivers.
A failed read raises ``ReadFailed``, or is named in ``degraded``.
May import: ``serving.state``, ``serving.metrics``, ``signals``, ``models``, ``schemas``.
"""
