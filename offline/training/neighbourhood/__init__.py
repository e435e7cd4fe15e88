"""Training of neighbours: item similarities, EASE, user neighbours, sessions and sequential rules."""
