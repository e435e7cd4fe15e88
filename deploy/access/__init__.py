"""Follows the topic ``access`` in an HTTP process, and keeps what it last said in a file.

Code enters if it reads or writes keys at run time; what a key may do is decided in ``schemas.access``.
It may import ``adapters`` and ``schemas``.
"""
