"""Jobs that the schedule or a command runs, under a lease and with a record of the run.

A job calls the other rooms in order; an algorithm or a metric does not belong here.
Imports every other room of ``offline``; nothing in ``offline`` but ``main`` imports it.
"""
