"""The console under ``/console``: its pages, and the calls of the API that only people who run a site need.

The pages are static files: they read and write through the HTTP API, so whatever they do is a call too. Code enters if it
serves these files, or reads the log and the metrics for people. It may import the rest of ``serving`` and ``schemas``.
"""
