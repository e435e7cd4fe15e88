"""Writes the tables of these pages from the code: `python docs/tables.py`. A test checks that they are up to date."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final, cast

from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import fault_table  # noqa: E402 - beside this file

import adapters.http.connections  # noqa: E402
import ingest.metrics  # noqa: E402 - from the checkout that these pages belong to
import nearline.metrics  # noqa: E402
import offline.metrics  # noqa: E402
import schemas.background  # noqa: E402
import schemas.clock_skew  # noqa: E402
import schemas.http.access.metrics  # noqa: E402
import serving.metrics  # noqa: E402
from adapters.http.application import build_application  # noqa: E402
from deploy.config import CommandSettings  # noqa: E402
from ingest.config import IngestSettings  # noqa: E402
from ingest.http import body  # noqa: E402
from ingest.http.routes import IngestDependencies  # noqa: E402
from ingest.http.routes import build_router as write_router  # noqa: E402
from ingest.validation import bounds, generalize, validate  # noqa: E402
from nearline.config import NearlineConfig  # noqa: E402
from offline.config import OfflineSettings  # noqa: E402
from schemas import events  # noqa: E402
from schemas.access.scopes import MEANINGS as MEANINGS_OF_SCOPES  # noqa: E402
from schemas.access.scopes import Scope, declared_rule  # noqa: E402
from serving.config import Settings as ServingSettings  # noqa: E402
from serving.http.routes import build_router as read_router  # noqa: E402
from serving.ranking.candidates.registry import candidate_sources  # noqa: E402
from serving.state.live_sessions import SESSIONS  # noqa: E402
from signals import bloom, users  # noqa: E402
from signals.event_weights import INTEREST_WEIGHTS, POPULATION_WEIGHTS  # noqa: E402
from signals.kinds import context, covisits, exposure, queries, tail  # noqa: E402

Row = Sequence[Any]

METRICS: Final = {
    "ingest": ingest.metrics,
    "nearline": nearline.metrics,
    "serving": serving.metrics,
    "offline": offline.metrics,
}
SETTINGS: Final = {
    "command": CommandSettings,
    "ingest": IngestSettings,
    "nearline": NearlineConfig,
    "offline": OfflineSettings,
    "serving": ServingSettings,
}
MEANINGS: Final = {
    "bookmark": "Kept the item for later.",
    "cart": "Put the item in the cart.",
    "click": "Clicked on the item, in a list say.",
    "comment": "Wrote about the item.",
    "dislike": "Said no to the item; similar items sink.",
    "dismiss": "Removed the item from a list; similar items sink a little.",
    "dwell": "Stayed with the item; `value` is in seconds.",
    "forget": "Asks to remove everything that is kept about the user.",
    "identify": "Links the anonymous user `anonymous_id` to the user `user_id`.",
    "impression": "Was shown the items in `impression`, or `item_id`.",
    "like": "Said yes to the item.",
    "purchase": "Bought the item.",
    "rating": "Gave stars; `value` is how many.",
    "retract": "Retracts the event with the same `event_id`.",
    "search": "Searched for `query`.",
    "share": "Sent the item to somebody.",
    "unlike": "Retracts a `like` of the item.",
    "view": "Opened the item's page.",
}
NEEDS: Final = {
    "impression": "`impression` or `item_id`",
    "search": "`query`",
    "identify": "`user_id` and `anonymous_id`",
    "retract": "`event_id`",
}
EXAMPLES: Final = {
    "_age": 37,
    "_birth": "1989-03-02",
    "_postcode": "10115",
    "_coordinate": 52.5163,
    "_address": "203.0.113.77",
}
"""One value for each rule of generalization; the table shows the result of the code."""
LIMITS: Final = {
    "maxLength": "at most {:,} characters",
    "maxItems": "at most {:,} items",
    "maxProperties": "at most {:,} members",
    "minimum": "from {:,}",
    "maximum": "to {:,}",
}
"""Words for the limits in a JSON Schema."""
NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)
COMPARED: Final = "compare-"
"""Prefix of the result files that `freshet evaluate compare --json` wrote, before the name of the data set."""
RESULTS: Final = HERE.parent / "tests" / "bench" / "results"
FAULT_RESULTS: Final = HERE.parent / "tests" / "faults" / "results"


def envelope() -> list[str]:
    """The fields of an event."""
    schema = events.Event.model_json_schema()["properties"]
    rows = (
        (f"`{name}`", field.description, _limits(schema[name])) for name, field in events.Event.model_fields.items()
    )
    return _table(("field", "meaning", "limits"), rows)


def types() -> list[str]:
    """The event types and their weights."""
    rows = (
        (f"`{name}`", MEANINGS[name], _needs(name), _weight(INTEREST_WEIGHTS, name), _weight(POPULATION_WEIGHTS, name))
        for name in sorted(events.TYPES)
    )
    return _table(("type", "meaning", "needs", "weight for the user", "weight in popularity"), rows)


def limits() -> list[str]:
    """The limits of a request, and how much is remembered about a user."""
    rows = [
        ("Events in one request", f"{events.MAX_EVENTS:,}"),
        ("Body of a request, unpacked", f"{events.MAX_BODY_BYTES:,} bytes"),
        ("One event, item or user as JSON", f"{validate.MAX_RECORD_BYTES:,} bytes"),
        ("Nesting inside `properties` and `attributes`", f"{bounds.MAX_DEPTH} levels"),
        ("Members of one event, item or user, at all depths together", f"{bounds.MAX_VALUES:,}"),
        ("Objects and lists in one body", f"{body.MAX_CONTAINERS:,}"),
        ("Members of a gzip body", f"{body.MAX_MEMBERS:,}"),
        ("`occurred_at` ahead of the collector's clock", f"{events.MAX_AHEAD.seconds // 60} minutes"),
        ("Earliest `occurred_at`", f"{events.EARLIEST:%Y-%m-%d}"),
        ("Interactions remembered of a user", f"{users.RECENT:,} newest"),
        ("Beyond those, of each type except views, clicks and dwells", f"{users.OLDER:,} newest"),
        ("Items remembered as seen by name", f"{users.SEEN:,} most recent"),
        (
            "Items remembered as seen beyond those, by a Bloom filter",
            f"at least {bloom.FULL:,}; wrong for at most 1.6 %",
        ),
        ("Searches remembered", f"{users.TERMS:,} newest, each with {users.SEARCHED} items opened"),
        ("Time in which an interaction follows from a search", f"{users.SEARCH_SECONDS / 60:g} minutes"),
        ("Anonymous users linked to a user", f"{users.LINKS:,} newest"),
        ("Event ids remembered of a user, against repeats", f"{users.DEDUPLICATION:,} newest"),
        ("Pause that ends a session without a `session_id`", f"{users.SESSION_GAP_SECONDS / 60:g} minutes"),
        (
            "Pause that ends a session with a `session_id`",
            f"{users.NAMED_SESSION_GAP_SECONDS / 3_600:g} hours",
        ),
        ("Items of one impression that are counted", f"{exposure.LONGEST:,}"),
        ("Tail of sessions, per partition", f"{tail.CHUNK * tail.RING:,} newest offsets"),
        ("Sessions held by an API process for session neighbours", f"{SESSIONS:,} newest"),
        ("Followers, and companions in baskets, of an item, per partition", f"{covisits.WIDTH:,} strongest"),
        ("Contexts of an item, per partition", f"{context.WIDTH:,} strongest"),
        (
            "Words searched for, per partition",
            f"{queries.BUCKETS * queries.WORDS:,}, each with its {queries.WIDTH} strongest items",
        ),
    ]
    return _table(("limit", "value"), rows)


def coarsening() -> list[str]:
    """The personal data that is kept, with examples that the code itself has generalized."""
    by_rule: dict[str, list[str]] = {}
    for name, rule in generalize._RULES.items():  # noqa: SLF001 - the page is about them
        by_rule.setdefault(rule.__name__, []).append(name)
    rows = [(_names(names), _coarse(names[0], EXAMPLES[rule])) for rule, names in by_rule.items()]
    rows += [
        (_names(generalize.CONTACT), "nothing"),
        (_names(generalize.PERSON), "nothing of a user's attributes; an event's context and properties keep them"),
    ]
    return _table(("sent by a site", "kept on the log"), rows)


def metrics() -> list[str]:
    """Every metric of every process."""
    rows = (
        (f"`{_sample(metric)}`", metric._type, ", ".join(metric._labelnames), metric._documentation, tier)  # noqa: SLF001
        for tier, module in (
            *METRICS.items(),
            ("all", schemas.background),
            ("all", schemas.clock_skew),
            ("HTTP", adapters.http.connections),
            ("HTTP", schemas.http.access.metrics),
        )
        for metric in declared(module)
    )
    return _table(("metric", "kind", "labels", "meaning", "tier"), rows)


def scopes() -> list[str]:
    """The scopes of keys, with the calls that each of them opens."""
    calls: dict[Scope, list[str]] = {scope: [] for scope in Scope}
    for route in _routes():
        for scope in declared_rule(route.endpoint).scopes:
            calls[scope] += [f"`{method} {route.path.replace(':path', '')}`" for method in sorted(route.methods)]
    calls[Scope.ADMIN].append("every other call")
    rows = ((f"`{scope}`", MEANINGS_OF_SCOPES[scope], ", ".join(dict.fromkeys(calls[scope]))) for scope in Scope)
    return _table(("scope", "meaning", "calls"), rows)


def _routes() -> list[Any]:
    """The routes of the collector and the online API, which are described and not called."""
    nothing = cast("Any", None)
    service = cast("Any", SimpleNamespace(explanations=None))
    app = build_application(
        "All", [write_router(IngestDependencies(nothing, nothing, nothing)), read_router(service)], nothing
    )
    return list(app.state.rules.routes)


def settings() -> list[str]:
    """Every variable that a process reads."""
    names = sorted({name for settings in SETTINGS.values() for name in settings.model_fields})
    return _table(("variable", "default", "meaning", "read by"), map(_setting, names))


def sources() -> list[str]:
    """The candidate sources with their default weights and the sentences of their reasons."""
    rows = (
        (
            f"`{source.name}`",
            f"{source.weight:g}",
            "all users" if source.scope == "everybody" else "one user",
            " or ".join(f"`{name}`" for name in source.needs) or "–",
            f"“{source.sentence.alone}”",
        )
        for source in candidate_sources().values()
    )
    return _table(
        ("source", "default weight", "candidates for", "needs of the model", "reason without a seed item"), rows
    )


def comparison(measured: Path) -> list[str]:
    """The measured algorithms among published figures, the best first."""
    report = json.loads(measured.read_bytes())
    names = report["headline"]
    ours = [
        (row, f"**{row['name']}**", f"{row['seconds']:.0f}", f"{row['peak_mib']:,.0f}")
        for row in report["rows"]
        if row["metrics"]
    ]
    theirs = [(row, f"{row['name']}, published", "", "") for row in report["published"]]
    rows = [
        (label, *(f"{row['metrics'][name]:.4f}" for name in names), seconds, memory)
        for row, label, seconds, memory in sorted(ours + theirs, key=lambda line: -line[0]["metrics"][names[0]])
    ]
    return _table(("algorithm", *names, "seconds of training", "peak MiB"), rows)


def faults() -> list[str]:
    """The faults that were played, and what each cost."""
    return _table(fault_table.HEAD, fault_table.rows(FAULT_RESULTS))


def declared(module: ModuleType) -> list[MetricWrapperBase]:
    """The metrics of a module, in its order."""
    return [value for value in vars(module).values() if isinstance(value, MetricWrapperBase)]


TABLES: Final[dict[str, Callable[[], list[str]]]] = {
    "envelope": envelope,
    "types": types,
    "limits": limits,
    "coarsening": coarsening,
    "metrics": metrics,
    "settings": settings,
    "scopes": scopes,
    "sources": sources,
    "faults": faults,
} | {path.stem: partial(comparison, path) for path in sorted(RESULTS.glob(f"{COMPARED}*.json"))}


def filled(page: str) -> str:
    """The page with every table between its marks generated again."""
    for name, table in TABLES.items():
        begin, end = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
        if begin in page:
            head, _, rest = page.partition(begin)
            page = "\n".join([head + begin.rstrip(), *table(), end + rest.partition(end)[2]])
    return page


def _table(head: Row, rows: Iterable[Row]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("``", "`") for cell in line) + " |" for line in lines
    ]


def _limits(schema: dict[str, Any]) -> str:
    keywords = {key: value for part in (schema, *schema.get("anyOf", ())) for key, value in part.items()}
    return ", ".join(words.format(keywords[key]) for key, words in LIMITS.items() if key in keywords)


def _needs(name: str) -> str:
    if name in NEEDS:
        return NEEDS[name]
    fields = ["item_id"] * (name in events.ITEM_TYPES) + ["value"] * (name in events.VALUED_TYPES)
    return ", ".join(f"`{field}`" for field in fields)


def _weight(weights: Any, name: str) -> str:
    per = {"rating": " a star above the middle", "dwell": " a minute"} if weights is INTEREST_WEIGHTS else {}
    return f"{weights[name]:g}{per.get(name, '')}" if name in weights else "–"


def _coarse(name: str, sent: Any) -> str:
    (logged, value), *_ = generalize.generalize({name: sent}, generalize.rules_for_users(), NOW).items()
    return f"`{logged}`, as `{value}` of `{sent}`"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _sample(metric: MetricWrapperBase) -> str:
    return metric._name + ("_total" if metric._type == "counter" else "")  # noqa: SLF001


def _setting(name: str) -> Row:
    fields = {reader: tier.model_fields[name] for reader, tier in SETTINGS.items() if name in tier.model_fields}
    defaults: dict[str, list[str]] = {}
    for reader, field in fields.items():
        defaults.setdefault(_default(field), []).append(reader)
    if len(defaults) == 1:
        default = next(iter(defaults))
    else:
        default = "; ".join(f"{value} ({', '.join(readers)})" for value, readers in defaults.items())
    meanings = list(dict.fromkeys(field.description or "" for field in fields.values()))
    return f"`FRESHET_{name.upper()}`", default, " / ".join(meanings), ", ".join(fields)


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is PydanticUndefined or value is None or value in ("", (), {}):
        return "none"
    if isinstance(value, Path) and value.is_absolute():
        return f"`{value.name}` in the system's folder for temporary files"
    return f"`{value}`"


def main() -> None:
    """Generate the tables of every page in this folder."""
    for path in sorted(HERE.glob("*.md")):
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
