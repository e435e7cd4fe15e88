"""The README of an export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_TEXT: Final = """\
Export of what is held on the user {user_id!r}, begun at {at}.

Each .jsonl file has one JSON object in each line. An empty file means that nothing of this kind is held.

events.jsonl      The raw events, as user and as guest or session, from the log and from the archive. "log_id", "partition"
                  and "offset" say where an event stands, "logged_at_ms" when the log took it (milliseconds since 1970).
attributes.jsonl  Each change of the user's attributes, in order, as it was kept: ages, places and addresses are coarsened,
                  and contact data is left out, before anything is written.
signals.jsonl     What is known now: for the user and for each linked guest and session the recent events, seen items,
                  searches, counters and links ("users"), and the current attributes ("profiles"). Times are seconds
                  since 1970. Hashes are base64.
lists.jsonl       The precomputed lists of the user in each stored model version.
answers.jsonl     The records of the answers that were given to the user, with the values that they were made from.

The person is the id above, as a user, as a guest and as a session; the guests that "identify" events have linked to it; and
the sessions that these events name. Events that another user sent from the same device are that user's.

Not included, and why:

- Counts over everybody (popularity, co-visits, baskets, exposure): they hold no ids, so no share in them can be found.
- What models have learned, and the user's factors in them: numbers that say nothing without the whole model.
- Dead letters and rows that imports refused: they could not be read, so whose they are is not known for sure.
  An administrator finds them with `freshet deadletters` and in the folder `refused`.
- Snapshots, backups and exports of models: copies of what is here, of an earlier time.
- The audit log: it names users by a short digest alone, and belongs to those who run the site.
- Receipts of erasures: they name a person by a keyed hash alone.
- Answers that were recorded for another user.
"""


def readme(user_id: str, now: float) -> str:
    """The text, with the user and the time (seconds since 1970) of the export."""
    return _TEXT.format(user_id=user_id, at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"))
