"""Lets people view stories about football, and shows a story with the same tag that nobody has viewed."""

from __future__ import annotations

import sys
from typing import Any

from examples.api import call, wait_until

STORIES = {
    "cup-final": ["football"],
    "transfer-news": ["football"],
    "derby-preview": ["football"],
    "budget-debate": ["politics"],
    "new-telescope": ["science"],
}


def main(url: str) -> list[str]:
    """Returns the stories that the source proposed to a new user."""

    def proposed() -> list[str]:
        answer = call(f"{url}/v1/users/newcomer/recommendations")
        return [item["item_id"] for item in answer["items"] if "trending_tags" in sources_of(item)]

    call(f"{url}/v1/items", "POST", [{"item_id": story, "tags": tags} for story, tags in STORIES.items()])
    views = [(f"reader-{number}", story) for number in range(5) for story in ("cup-final", "transfer-news")]
    call(f"{url}/v1/events", "POST", [{"type": "view", "user_id": user, "item_id": story} for user, story in views])
    stories = wait_until(proposed, lambda stories: "derby-preview" in stories)
    print("proposed because their tags are trending:", ", ".join(stories))
    return list(stories)


def sources_of(item: dict[str, Any]) -> set[str]:
    """The candidate sources that the reasons of an item name."""
    return {reason["source"] for reason in item["reasons"]}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
