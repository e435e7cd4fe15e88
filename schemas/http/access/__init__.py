"""The check of access that every HTTP application has: who calls, from which page, how often.

Code enters if it reads a request or answers one for the check; the decision itself is in ``schemas.access``.
"""
