"""The checks of ``freshet doctor``. Each check reads one thing and says what to do about it.

``setup`` checks this machine and the embedded data folder; ``servers`` checks Kafka, Redis, Cassandra and Java.
A check may enter if it only reads. It may import every tier, ``deploy.wiring`` and ``adapters``.
"""
