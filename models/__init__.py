"""Models: immutable learned values with their inference. Numpy only; training is in ``offline``."""
