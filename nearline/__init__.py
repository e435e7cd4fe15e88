"""Follows the log and keeps the signals of every partition. Each event counts exactly once.

The store holds a fence for each signal of a partition: the offset up to which its values are folded. A commit compares the
stored fence with the expected one, and writes the values and the new fence in one step. Another word is checkpoint.

One PartitionWorker applies the records of one partition, through a processor that commits with fences. The Faust app (on
Kafka) and the embedded loop (one thread) run the same workers, and differ only in who wakes them. Batches, fences, backoff,
rebuilds and dead letters belong here. How an event changes a value belongs to ``signals``.
May import ``signals`` and ``schemas``. Only ``main`` gets adapters from ``deploy.wiring``.
"""
