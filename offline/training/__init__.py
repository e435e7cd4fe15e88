"""Training: interactions in, a model value out; a module an algorithm and engine."""
