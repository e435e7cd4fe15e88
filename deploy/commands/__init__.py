"""The subcommands of ``freshet``, one module for each subject.

A module's ``register`` adds its commands; ``cli`` calls it. A command reads options, calls a tier, and prints the result.
Code enters if it serves the command line; decisions about events, training and ranking stand in the tiers.
It may import every tier, ``deploy.wiring``, ``deploy.processes`` and ``deploy.local``.
"""
