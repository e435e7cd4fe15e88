"""What an online process holds in memory: catalogue, aggregates, text index and the active model version.

What may enter: values by position in the catalogue, and the code that keeps them up to date (``signal_sync``, ``model_sync``).
A request reads them without waiting; changes are taken over between requests.
May import: ``serving.filtering``, ``serving.arrays``, ``serving.metrics``, ``signals``, ``models``, ``schemas``.
"""
