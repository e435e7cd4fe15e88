"""What offline jobs count."""

from typing import Final

from prometheus_client import Counter, Gauge

ARCHIVED: Final = Counter("freshet_archived_records", "Records copied from the log into the archive.", ["topic"])
ARCHIVE_MISSED: Final = Counter(
    "freshet_archive_missed_records",
    "Records that retention removed from the log before they were archived; they are lost for training.",
    ["topic"],
)
TRAININGS: Final = Counter(
    "freshet_trainings", "Training runs by how they ended: published, skipped, refused or failed.", ["outcome"]
)
TRAINING_SECONDS: Final = Gauge("freshet_training_seconds", "How long each step of the last training took.", ["step"])
MODEL_TRAINED_AT: Final = Gauge(
    "freshet_model_trained_timestamp_seconds", "When the active version was trained; its age is the time since."
)
MODEL_INTERACTIONS: Final = Gauge("freshet_model_interactions", "Interactions that the active version was trained on.")
MODEL_QUALITY: Final = Gauge(
    "freshet_model_quality", "Metrics of the active version on what was held out, by their name.", ["metric"]
)
HINTS_LOST: Final = Counter(
    "freshet_model_hints_lost", "Moves of the pointer that could not be told on the models topic; it is polled anyway."
)
