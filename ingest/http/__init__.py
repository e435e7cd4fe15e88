"""The write API over HTTP: routes for events, items and users, their OpenAPI texts, bodies and rate limits.

Code enters if it reads a request or forms a response of the collector. Validation stands in ``ingest.validation``.
It may import ``ingest.validation``, ``ingest.config``, ``ingest.metrics`` and ``schemas``; never importers or dead letters.
"""
