"""Training of models that combine others: the blend, the ranker, and the weights of candidate sources."""
