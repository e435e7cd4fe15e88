"""Follows the log and keeps the signals of every partition, each event counted exactly once.

One PartitionWorker applies the records of one partition through a fenced processor. The Faust app (on Kafka) and the
embedded loop (one thread) differ only in who wakes the workers. Here belong batches, fences, backoff, rebuilds and dead
letters; what an event changes belongs to ``signals``.
May import ``signals`` and ``schemas``. Only ``main`` asks ``deploy.wiring`` for adapters.
"""
