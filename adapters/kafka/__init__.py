"""Kafka: the log, and the topics that hold keys, accounts and audit records."""
