"""Signs people in and out: with a password of their own, or with an OpenID Connect provider.

Code enters if it serves the pages under ``/account``; what an account is and what its person may do is in ``schemas.access``.
It may import ``schemas`` and ``serving.config``.
"""
