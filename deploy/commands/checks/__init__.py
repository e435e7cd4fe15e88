"""The checks of ``freshet doctor``: each looks at one thing and says what to do about it.

``setup`` checks this machine and the embedded data folder; ``servers`` checks Kafka, Redis, Cassandra and Java.
What may enter: a check that only reads. It may import every tier, ``deploy.wiring`` and ``adapters``.
"""
