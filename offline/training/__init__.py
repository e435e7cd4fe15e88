"""Training: one file for each algorithm, in a folder by its method.

A file dropped into one of these folders that declares ``ALGORITHM`` is discovered; no registry needs an edit. Its training
function takes interactions and parameters, and returns an immutable value of ``models``.
Imports ``models`` and ``offline.data``. It imports no engine, evaluation or job.
"""
