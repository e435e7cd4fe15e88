"""The read API over HTTP: the only room that parses requests.

Here belong routes, handlers, parsing, the parameters that OpenAPI documents, and what ``/docs`` shows. A handler makes one
``RecommendationRequest`` or other typed values and hands them to the service. Nothing here ranks or reads a store.
It may import ``serving.service`` and the rooms below it; only ``serving.web`` and ``serving.main`` import it.
"""
