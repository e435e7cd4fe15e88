"""Who may do what over HTTP: keys, scopes, the rules of routes, the decision on a request, and signatures.

Code enters if it decides about access and is pure: no clock, driver, file or framework. ``schemas.http`` applies it to requests.
It may import ``schemas.errors``, ``schemas.log`` and ``schemas.ports``, and nothing of the other packages.
"""
