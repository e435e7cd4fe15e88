"""Adapters implement the ports of ``schemas.ports``: one file for each log or store.

A file holds the reader and the writer of its format. Files of one server or format share a folder.

A file dropped in any of these folders is discovered: it declares the URL schemes that it opens in ``ADAPTER``, and
``registry`` finds the declaration. No registry needs an edit. Code enters if it speaks to one server, file format or protocol.
An adapter imports ``schemas`` and its driver, and no tier.
Only ``deploy.wiring`` and a tier's ``main.py`` open adapters; all other code receives a port.
"""
