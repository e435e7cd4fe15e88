"""The local stack: runs Kafka, Redis and Cassandra natively on this machine, for tests and demonstrations.

``stack`` is its interface; ``servers/`` has one module for each server. Code enters if it installs, starts, probes or
ends these servers. It imports ``schemas.errors`` and nothing else of Freshet.
"""
