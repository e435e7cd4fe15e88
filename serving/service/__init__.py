"""The service: from a parsed request to an answer and its decision record.

Here belong preparation (reading signals and lists), the responder, the result cache, the decision log, explanations,
notifications and readiness. It takes typed values, never text to parse, and knows nothing of routes or of status codes
beyond ``ProblemError``. It may import ``serving.ranking``, ``serving.stores``, ``serving.state`` and the rooms below them.
"""
