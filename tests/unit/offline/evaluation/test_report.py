import re
from xml.etree import ElementTree as ET

import pytest

from offline.data.splits import inner
from offline.evaluation.compare import Plan, compare_on
from offline.evaluation.report import page
from offline.evaluation.task import PublishedFigures, SealedTest, Task, TrainingPart, questions_of


@pytest.fixture
def report(two_tastes):
    training, held = inner(two_tastes)
    task = Task(
        "made <here>",
        "inner",
        TrainingPart(training),
        SealedTest(questions_of(held, training)),
        published=[PublishedFigures("theirs", {"NDCG@10": 0.5})],
        notes={"held out": "one & all"},
    )
    return compare_on(task, Plan(names=["popularity", "neighbours"], segments=True, curves=["neighbours"]))


def test_a_report_needs_nothing_from_anywhere(report):
    text = page(report)
    assert not re.search(r'(src|href)="(?!#)', text.replace('xlink:href="#', 'xlink:href="#'))
    assert "<script" not in text
    assert "@import" not in text
    assert "url(http" not in text


def test_a_report_says_what_was_measured(report):
    text = page(report)
    row = report.rows[1]
    assert f"{row.metrics['NDCG@10']:.4f}" in text
    assert f"{row.intervals['NDCG@10'][0]:.4f}" in text
    assert "theirs (published)" in text
    assert "neighbours − popularity" in text
    assert "made &lt;here&gt;" in text
    assert "one &amp; all" in text


def test_every_chart_is_drawn_in_the_pages_own_colour(report):
    drawings = re.findall(r"<svg.*?</svg>", page(report), re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        ET.fromstring(drawing)
        assert "currentColor" in drawing


def test_ids_of_several_charts_on_a_page_are_apart(report):
    ids = [
        set(re.findall(r'<clipPath id="([^"]+)"', each))
        for each in re.findall(r"<svg.*?</svg>", page(report), re.DOTALL)
    ]
    assert sum(map(len, ids)) == len(set().union(*ids))


def test_an_algorithm_without_figures_is_a_line_with_its_reason(report):
    import msgspec

    failed = msgspec.structs.replace(report.rows[0], metrics={}, failed="too large <for this>")
    text = page(msgspec.structs.replace(report, rows=[failed], differences=[], published=[]))
    assert "too large &lt;for this&gt;" in text
