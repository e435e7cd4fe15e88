"""Cassandra: models, precomputed lists and job runs."""
