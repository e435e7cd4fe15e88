"""Ingest: takes facts over HTTP and from files, and is the only writer of facts to the log."""
