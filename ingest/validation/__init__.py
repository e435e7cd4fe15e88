"""Validation: turns a parsed event, item or user into an entry for the log, or raises Rejection.

``validate`` holds the rules, ``fast_path`` the same rules for the usual row, ``generalize`` makes personal data less
precise, ``jsontext`` parses JSON from outside. Pure functions only: no HTTP, no files, no log.
It may import ``schemas`` and nothing else of ``ingest``.
"""
