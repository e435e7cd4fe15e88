"""The read API over HTTP: the only room that parses requests.

Routes, handlers, parsing, parameters and their OpenAPI description belong here. A handler makes one
``RecommendationRequest`` or other typed values and passes them to the service. No code here ranks or reads a store.
It may import ``serving.service`` and the rooms below it; only ``serving.web`` and ``serving.main`` import it.
"""
