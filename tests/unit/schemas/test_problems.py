from __future__ import annotations

import json

from schemas.http.problems import ProblemError


def test_a_problem_says_its_kind_and_where_it_is_and_leaves_out_what_it_does_not_know():
    body = json.loads(ProblemError(400, "invalid", "must be text", field="query", results=[1]).body())
    assert body == {
        "type": "urn:freshet:problem:invalid",
        "title": "The request is not valid",
        "status": 400,
        "detail": "must be text",
        "field": "query",
        "results": [1],
    }


def test_half_a_surrogate_pair_and_a_very_long_detail_can_still_be_answered():
    body = json.loads(ProblemError(400, "invalid", "\ud800" + "x" * 2_000).body())
    assert body["detail"].startswith("?x")
    assert len(body["detail"]) < 1_010
