"""Metrics of offline jobs, each declared once."""

from typing import Final

from prometheus_client import Counter, Gauge

ARCHIVED: Final = Counter("freshet_archived_records", "Records copied from the log into the archive.", ["topic"])
ARCHIVE_MISSED: Final = Counter(
    "freshet_archive_missed_records",
    "Records that retention removed from the log before they were archived; they are lost for training.",
    ["topic"],
)
TRAININGS: Final = Counter(
    "freshet_trainings", "Training runs by outcome: published, skipped, refused or failed.", ["outcome"]
)
TRAINING_SECONDS: Final = Gauge("freshet_training_seconds", "How long each step of the last training took.", ["step"])
MODEL_TRAINED_AT: Final = Gauge(
    "freshet_model_trained_timestamp_seconds", "Time at which the active version was trained."
)
MODEL_INTERACTIONS: Final = Gauge("freshet_model_interactions", "Interactions that the active version was trained on.")
MODEL_QUALITY: Final = Gauge(
    "freshet_model_quality", "Metrics of the active version on held-out interactions, by name.", ["metric"]
)
HINTS_LOST: Final = Counter(
    "freshet_model_hints_lost",
    "Moves of the active pointer whose hint on the models topic failed; serving polls the pointer anyway.",
)
WEBHOOKS: Final = Counter("freshet_webhooks", "Webhooks by outcome: delivered, or failed after every try.", ["outcome"])
EXPORTS: Final = Counter(
    "freshet_exports",
    "Exports of versions to targets outside the store by outcome: done, or failed after every try.",
    ["outcome"],
)
JOB_RUNS: Final = Counter(
    "freshet_job_runs",
    "Runs of jobs by how they ended (done, skipped, refused, failed, stopped, lost), as the schedule reads them.",
    ["job", "outcome"],
)
JOB_RUNNING: Final = Gauge("freshet_job_running", "1 while a job runs, as the schedule reads it.", ["job"])
JOB_SECONDS: Final = Gauge("freshet_job_last_seconds", "How long a job's last run took.", ["job"])
JOB_SUCCEEDED_AT: Final = Gauge(
    "freshet_job_last_success_timestamp_seconds",
    "Time of the last run of a job that ended well, even without work.",
    ["job"],
)
JOB_UNDELIVERED: Final = Counter(
    "freshet_job_webhooks_undelivered", "Webhooks that runs could not deliver, as the schedule reads their records."
)
JOB_UNEXPORTED: Final = Counter(
    "freshet_job_exports_failed", "Exports that runs could not make, as the schedule reads their records."
)
EVENTS_EXPIRED: Final = Counter(
    "freshet_events_expired",
    "Raw events that retention by type removed from archive and log, as the schedule reads the records of its runs.",
)
JOBS_DUE: Final = Counter(
    "freshet_jobs_due", "Jobs that the schedule began, by cause: first, new, age, drift, time.", ["job", "cause"]
)
SCHEDULE_LOOKED_AT: Final = Gauge(
    "freshet_schedule_looked_timestamp_seconds", "Time at which the schedule last checked whether a job is due."
)
for _outcome in ("done", "failed"):
    EXPORTS.labels(_outcome)
for _outcome in ("delivered", "failed"):
    WEBHOOKS.labels(_outcome)
