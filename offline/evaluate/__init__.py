"""Evaluation that a sceptic would trust: sealed tests, metrics, segments, intervals, tuning and the report."""
