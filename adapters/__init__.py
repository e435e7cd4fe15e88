"""The drivers behind the ports of ``schemas.ports``: one file a log or store, reader and writer together.

A file declares the URL schemes of its addresses and what it opens there (``ADAPTER``); ``registry`` finds it.
What may enter: code that speaks to one server, file format or protocol. It imports ``schemas`` and its driver, and no tier.
Only ``deploy.wiring`` and a tier's ``main.py`` open adapters; everything else is handed a port.
"""
