"""Helpers of ``freshet recommend`` and ``freshet explain``.

``decision_lookup`` finds a recorded answer on the log; ``words`` turns a decision record into sentences.
A function may enter if it reads decision records. It imports ``schemas``, ``signals``, ``replay`` and serving's reasons.
"""
