"""Starts and supervises processes: those of a cluster on one machine, and the jobs of the schedule.

What may enter: code that starts, watches and ends child processes. The work itself is done by the tiers.
It imports ``deploy.wiring``, ``deploy.config`` and ``offline`` (to know which job is due).
"""
