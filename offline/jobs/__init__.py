"""Jobs that the schedule or a command runs, under a lease and with a record of the run.

A job calls the other folders of ``offline`` in order. Algorithms and metrics do not belong here.
Imports every other folder of ``offline``. In ``offline``, only ``main`` imports it.
"""
