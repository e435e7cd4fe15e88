"""Sources of candidates, one a file: ``candidates(scene) -> Part``, pure, only what is allowed."""
