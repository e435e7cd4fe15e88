"""Freshet's jobs as Airflow DAGs: put this file into the DAGs folder of a worker that has the ``freshet`` command.

Two Airflow Variables: ``freshet_command`` (``freshet``) and ``freshet_data`` (``/var/lib/freshet``). The stack and its
addresses come from ``FRESHET_…`` in the worker's environment. Jobs take Freshet's own lease, so a run by hand or by
``freshet schedule`` beside these is refused with a sentence instead of doing the work twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator

COMMAND = "{{ var.value.get('freshet_command', 'freshet') }}"
DATA = "{{ var.value.get('freshet_data', '/var/lib/freshet') }}"
DEFAULTS = {"retries": 2, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True}
"""A training that the gate refuses ends with exit code 1 as well: two more tries, then Airflow's own alert."""


def freshet(task_id: str, arguments: str, limit: timedelta) -> BashOperator:
    """A task that runs ``freshet`` at low priority."""
    return BashOperator(
        task_id=task_id,
        bash_command=f"exec nice -n 10 {COMMAND} {arguments} --data {DATA}",
        append_env=True,
        execution_timeout=limit,
    )


def dag(dag_id: str, schedule: str, description: str) -> DAG:
    """A DAG of one run at a time that makes up for nothing that it missed."""
    return DAG(
        dag_id,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        description=description,
        tags=["freshet"],
    )


with dag("freshet_full", "0 3 * * *", "Archive, full training and statistics, every night") as full:
    archived = freshet("archive", "archive", timedelta(hours=2))
    trained = freshet("train", "train", timedelta(hours=6))
    archived >> trained >> freshet("statistics", "statistics", timedelta(hours=1))

with dag(
    "freshet_incremental", "*/5 * * * *", "Archive and an incremental training, every five minutes"
) as incremental:
    freshet("archive", "archive", timedelta(minutes=10)) >> freshet(
        "train_incremental", "train --incremental", timedelta(minutes=30)
    )

with dag("freshet_drift", "30 * * * *", "Looks every hour whether what happens has drifted") as drift:
    freshet("drift", "jobs drift", timedelta(minutes=30))

with dag("freshet_privacy", "30 1 * * *", "Retention by event type, and what erasures still owe, every day") as privacy:
    freshet("retention", "retention", timedelta(hours=6)) >> freshet(
        "rebuild", "rebuild signals --if-due", timedelta(hours=6)
    )
