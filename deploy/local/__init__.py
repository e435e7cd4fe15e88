"""Kafka, Redis and Cassandra run natively on this machine, for tests and demonstrations."""
