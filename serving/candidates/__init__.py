"""Sources of candidates, one a file: ``candidates(scene) -> Part``, pure, best first, only what is allowed."""
