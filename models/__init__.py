"""What was learned: immutable values with their inference. Numpy only; training is in ``offline``."""
