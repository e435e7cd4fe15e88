"""The subcommands of ``freshet evaluate``: compare and tune algorithms, replay a recorded stream.

``interactions`` turns a data set into interactions without a log.
A command may enter if it measures on recorded data and changes nothing. It imports ``offline``, ``replay`` and ``ingest``.
"""
