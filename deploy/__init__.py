"""Deploy builds and runs whole systems: the ``freshet`` command, the embedded stack, clusters and the local servers.

``wiring/`` opens dependencies, ``commands/`` is the command line, ``embedded/`` one process of all tiers, ``processes/``
supervises child processes, ``local/`` runs real servers, ``airflow/`` holds DAGs.
Code enters if it joins tiers. It may import every other package; only the ``main.py`` of a tier imports it.
"""
