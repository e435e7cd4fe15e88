"""The subcommands of ``freshet``, a module a subject."""
