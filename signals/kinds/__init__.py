"""The kinds of counters over all users. A file that declares ``KIND`` is one; ``signals.aggregates`` discovers it."""
