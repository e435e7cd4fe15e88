"""Snapshots of signals with their fences: taken while the workers fold, and loaded where a fence is missing.

Code enters if it copies the values of a signal store to a SnapshotStore or back. It writes nothing to the log.
"""
