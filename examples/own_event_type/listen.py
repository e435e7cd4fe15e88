"""Posts events of the type ``listen``, and shows how the list of popular songs moves."""

from __future__ import annotations

import sys

from examples.api import call, item_ids, wait_until

SONGS = ("Autumn Leaves", "Summertime", "Winter Wonderland")


def main(url: str) -> tuple[list[str], list[str]]:
    """Returns the popular songs before and after the events of the new type."""

    def popular() -> list[str]:
        return item_ids(call(f"{url}/v1/popular"))

    call(f"{url}/v1/items", "POST", [{"item_id": song, "title": song} for song in SONGS])
    # Two people view one song, and one person views another.
    views = [("ada", "Winter Wonderland"), ("ben", "Winter Wonderland"), ("ada", "Autumn Leaves")]
    call(f"{url}/v1/events", "POST", [{"type": "view", "user_id": user, "item_id": song} for user, song in views])
    before = wait_until(popular, lambda songs: list(songs[:2]) == ["Winter Wonderland", "Autumn Leaves"])
    print("popular after three views:", ", ".join(before))
    # One listening counts as much as four views.
    call(f"{url}/v1/events", "POST", {"type": "listen", "user_id": "carla", "item_id": "Summertime"})
    after = wait_until(popular, lambda songs: songs[0] == "Summertime")
    print("popular after one more listening:", ", ".join(after))
    return list(before), list(after)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
