"""What ``freshet recommend`` and ``freshet explain`` need besides the tiers.

``decision_lookup`` finds a recorded answer on the log; ``words`` turns a decision record into sentences.
What may enter: pure functions over decision records. It imports ``schemas``, ``signals`` and ``replay``.
"""
