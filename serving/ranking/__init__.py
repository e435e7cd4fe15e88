"""How a list is made from what is known: context, candidates, blend, adjustments, reasons.

What may enter: pure functions of a request, signals, models, the catalogue and a configuration; no I/O, clock or randomness.
A new candidate source is one file in ``candidates/``. Start reading at ``pipeline.recommend``.
May import: ``serving.state``, ``serving.filtering``, ``serving.arrays``, ``signals``, ``models``, ``schemas``.
"""
