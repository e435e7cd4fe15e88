"""Offline: archives the log, trains on it, gates and publishes versions."""
