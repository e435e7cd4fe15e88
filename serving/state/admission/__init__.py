"""Which ids without item data have a place in the catalogue: they wait for people, enter, and are let go again.

What may enter: the counters that wait, the memory that ids take, and the choice of those that go. No ranking.
"""
