"""Mends stored signals: folds the log or its archive again, compares, and replaces what differs."""
