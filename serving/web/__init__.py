"""The first page: a shop window over the online API, rendered here, with one style sheet and one script."""
