"""The subcommands of ``freshet evaluate``: compare and tune algorithms, replay a recorded stream.

``interactions`` turns a data set into interactions without a log.
What may enter: commands that measure on recorded data and change nothing. They import ``offline``, ``replay`` and ``ingest``.
"""
