"""Offline: archives the log, trains models on the archive, checks the versions and publishes them."""
