"""Drivers behind the ports of ``schemas.ports``: a module a storage format, its writer and its reader together.

Only a tier's ``main.py`` and ``deploy`` build them; cores are handed them as ports.
"""
