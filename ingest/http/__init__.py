"""The write API over HTTP: routes for events, items and users, their OpenAPI texts, bodies and rate limits.

Whatever reads a request or forms a response of the collector stands here. Validation itself does not.
May import ``ingest.validation``, ``ingest.config``, ``ingest.metrics`` and ``schemas``; never importers or dead letters.
"""
