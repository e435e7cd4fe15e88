"""The demo page: a shop over the online API, rendered on the server, with one style sheet and one script.

Routes, templates, item cards, their lists and their sentences belong here. The page uses the service as a client of
the API would, and loads nothing from other hosts.
It may import ``serving.http`` (to parse offset tokens) and ``serving.service``; only ``serving.main`` imports it.
"""
