"""Serving: answers from signals and models within a deadline. Reads only; its answers go to their own topic."""
