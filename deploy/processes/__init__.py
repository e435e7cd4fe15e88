"""Starts and supervises processes: those of a cluster on one machine, and the jobs of the schedule.

Code enters if it starts, watches or ends child processes. The tiers do the work itself.
It imports ``deploy.wiring``, ``deploy.config`` and ``offline`` (to know which job is due).
"""
