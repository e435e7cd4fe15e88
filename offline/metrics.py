"""What offline jobs count."""

from typing import Final

from prometheus_client import Counter

ARCHIVED: Final = Counter("freshet_archived_records", "Records copied from the log into the archive.", ["topic"])
ARCHIVE_MISSED: Final = Counter(
    "freshet_archive_missed_records",
    "Records that retention removed from the log before they were archived; they are lost for training.",
    ["topic"],
)
