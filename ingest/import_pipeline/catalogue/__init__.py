"""Compares what an import says about items and users with the log, so that only changes are appended."""
