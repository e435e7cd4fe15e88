"""External models: checks uploaded similarities, lists and factors, and turns them into values of a version.

Every kind is a table. An error names the row (from 0) and the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.als import Als
from models.neighbours import Neighbours
from models.structures.arrays import best_rows
from models.structures.lists import ITEMS, USERS, ScoredList
from offline.training.lists import Packed, item_lists
from schemas.errors import PublicationInvalid
from schemas.values.pseudonyms import Pseudonyms

ExternalModelKind = Literal["neighbours", "lists", "factors"]
COLUMNS: Final[Mapping[ExternalModelKind, pa.Schema]] = {
    "neighbours": pa.schema([("item_id", pa.string()), ("neighbour_id", pa.string()), ("score", pa.float32())]),
    "lists": pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("score", pa.float32())]),
    "factors": pa.schema([("of", pa.string()), ("id", pa.string()), ("vector", pa.list_(pa.float32()))]),
}
"""The columns of each kind; ``of`` is ``user`` or ``item``."""
MOST: Final = 1_000
"""Maximum number of items of one list."""
_LONGEST_ID: Final = 128
_BLOCK: Final = 1_024


@dataclass(frozen=True, kw_only=True)
class ExternalModelOptions:
    """Options that the rows do not contain."""

    user_list: int = 100
    """Length of lists computed from factors. Uploaded lists stay unchanged."""
    item_list: int = 50
    regularization: float = 1.0
    """λ of the factors, used by fold-in; see ``models.als``."""
    alpha: float = 1.0
    pseudonyms: Pseudonyms | None = None
    """What the site keeps in place of the ids of users; None if it keeps them as they are."""


@dataclass(frozen=True)
class ExternalModel:
    """Values by name and lists by kind that replace those of the parent version."""

    rows: int
    values: Mapping[str, bytes] = field(default_factory=dict)
    lists: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)


def external_model_of(
    kind: ExternalModelKind, table: pa.Table, making: ExternalModelOptions | None = None
) -> ExternalModel:
    """Returns the values and lists of a table. Raises PublicationInvalid with the wrong row and column."""
    options = making or ExternalModelOptions()
    checked = _checked(kind, table)
    return _MAKERS[kind](_pseudonymous(checked, options.pseudonyms) if options.pseudonyms else checked, options)


def _pseudonymous(table: pa.Table, pseudonyms: Pseudonyms) -> pa.Table:
    """Returns the table with pseudonyms in place of the ids of users."""
    if "user_id" in table.column_names:
        column, user_ids = "user_id", [pseudonyms.of(user_id) for user_id in table["user_id"].to_pylist()]
    elif "of" in table.column_names:
        rows = zip(table["of"].to_pylist(), table["id"].to_pylist(), strict=True)
        column, user_ids = "id", [pseudonyms.of(id_) if of == "user" else id_ for of, id_ in rows]
    else:
        return table
    return table.set_column(table.column_names.index(column), column, pa.array(user_ids))


def _neighbours(table: pa.Table, making: ExternalModelOptions) -> ExternalModel:
    """Returns the neighbours of each item, best first, ties in input order."""
    _refuse_self(table)
    groups = dict(_grouped(table, "item_id", "neighbour_id"))
    names = dict.fromkeys((*groups, *table["neighbour_id"].to_pylist()))
    item_ids = tuple(names)
    position_of = {item_id: number for number, item_id in enumerate(item_ids)}
    width = max(len(neighbour_id) for neighbour_id in groups.values())
    indices = np.full((len(item_ids), width), -1, dtype=np.int32)
    scores = np.zeros((len(item_ids), width), dtype=np.float32)
    for item_id, similar in groups.items():
        row, count = position_of[item_id], len(similar)
        indices[row, :count] = [position_of[neighbour_id] for neighbour_id in similar.item_ids]
        scores[row, :count] = similar.scores
    value = Neighbours(item_ids, indices, scores)
    lists = dict(item_lists(value, making.item_list))
    return ExternalModel(table.num_rows, {Neighbours.kind: value.save()}, {ITEMS: lists})


def _lists(table: pa.Table, _: ExternalModelOptions) -> ExternalModel:
    packed = {user_id: scored_list.save() for user_id, scored_list in _grouped(table, "user_id", "item_id")}
    return ExternalModel(table.num_rows, {}, {USERS: packed})


def _factors(table: pa.Table, making: ExternalModelOptions) -> ExternalModel:
    """Returns factors, and user lists by the inner product over all items."""
    widths = pc.list_value_length(table["vector"]).to_numpy()
    _refuse(widths != widths[0], table, "vector", f"has not {widths[0]} numbers, as the first row has")
    _refuse(np.full(1, widths[0] < 1), table, "vector", "is empty")
    vectors = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, int(widths[0]))
    _refuse(~np.isfinite(vectors).all(axis=1), table, "vector", "has a number that is not finite")
    of = np.array(table["of"].to_pylist())
    _refuse((of != "user") & (of != "item"), table, "of", "is neither user nor item")
    ids = table["id"].to_pylist()
    _refuse_twice(list(zip(of.tolist(), ids, strict=True)), "id")
    users, items = np.flatnonzero(of == "user"), np.flatnonzero(of == "item")
    if not items.size:
        raise PublicationInvalid("there are no rows of items; factors of users alone recommend nothing", field="of")
    names = np.array(ids, dtype=object)
    known = tuple(names[users]), tuple(names[items])
    als = Als(*known, vectors[users], vectors[items], regularization=making.regularization, alpha=making.alpha)
    return ExternalModel(table.num_rows, {Als.kind: als.save()}, {USERS: dict(_best(als, making.user_list))})


_MAKERS: Final[Mapping[ExternalModelKind, Callable[[pa.Table, ExternalModelOptions], ExternalModel]]] = {
    "neighbours": _neighbours,
    "lists": _lists,
    "factors": _factors,
}


def _best(als: Als, count: int) -> Iterator[Packed]:
    for begin in range(0, len(als.user_ids), _BLOCK):
        scores = als.user_factors[begin : begin + _BLOCK] @ als.item_factors.T
        chosen = best_rows(scores, count)
        values = np.take_along_axis(scores, chosen.positions, axis=1)
        user_ids, lengths = als.user_ids[begin : begin + _BLOCK], chosen.lengths.tolist()
        for user_id, positions, scores_of_user, length in zip(
            user_ids, chosen.positions.tolist(), values.tolist(), lengths, strict=True
        ):
            yield (
                user_id,
                ScoredList(
                    tuple(als.item_ids[position] for position in positions[:length]), tuple(scores_of_user[:length])
                ).save(),
            )


def _checked(kind: ExternalModelKind, table: pa.Table) -> pa.Table:
    """Returns only the columns of the kind, with their types and without missing values."""
    expected = COLUMNS[kind]
    if missing := [name for name in expected.names if name not in table.column_names]:
        raise PublicationInvalid(
            f"there is no column '{missing[0]}'; {kind} have {', '.join(expected.names)}", field=missing[0]
        )
    if not table.num_rows:
        raise PublicationInvalid("there are no rows")
    columns = [_cast(table[column.name], column) for column in expected]
    checked = pa.Table.from_arrays(columns, schema=expected)
    for name in expected.names:
        _refuse(checked[name].is_null().to_numpy(), checked, name, "is missing")
        if expected.field(name).type == pa.string():
            _refuse_ids(checked, name)
    if "score" in expected.names:
        _refuse(~np.isfinite(checked["score"].to_numpy()), checked, "score", "is not finite")
    return checked


def _cast(column: pa.ChunkedArray, expected: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(expected.type)
    except pa.ArrowException as error:
        raise PublicationInvalid(
            f"column '{expected.name}' is {column.type}, which is no {expected.type}: {error}", field=expected.name
        ) from error


def _refuse_ids(table: pa.Table, name: str) -> None:
    lengths = pc.utf8_length(table[name]).to_numpy()
    _refuse((lengths < 1) | (lengths > _LONGEST_ID), table, name, f"has not 1 to {_LONGEST_ID} characters")
    control = pc.match_substring_regex(table[name], r"[\x00-\x1f\x7f]").to_numpy(zero_copy_only=False)
    _refuse(control, table, name, "has a control character")


def _refuse_self(table: pa.Table) -> None:
    same = pc.equal(table["item_id"], table["neighbour_id"]).to_numpy(zero_copy_only=False)
    _refuse(same, table, "neighbour_id", "is the item itself")


def _refuse_twice(keys: list[Any], name: str) -> None:
    seen: set[Any] = set()
    for row, key in enumerate(keys):
        if key in seen:
            raise PublicationInvalid(f"row {row}: {' and '.join(key)} are there twice", field=name, row=row)
        seen.add(key)


def _refuse(wrong: np.ndarray[Any, np.dtype[np.bool_]], table: pa.Table, name: str, what: str) -> None:
    """Raises PublicationInvalid for the first wrong row."""
    if wrong.any():
        row = int(np.argmax(wrong))
        given = str(table[name][row].as_py())[:80]
        raise PublicationInvalid(f"row {row}: {name} {what}, but {given!r}", field=name, row=row)


def _grouped(table: pa.Table, key: str, member: str) -> Iterator[tuple[str, ScoredList]]:
    """Yields the members of each key, best first. Raises PublicationInvalid for duplicates or too many members."""
    keys, members, scores = table[key].to_pylist(), table[member].to_pylist(), table["score"].to_numpy()
    _refuse_twice(list(zip(keys, members, strict=True)), member)
    rows_of: dict[str, list[int]] = {}
    for row, group in enumerate(keys):
        rows_of.setdefault(group, []).append(row)
    for group, rows in rows_of.items():
        if len(rows) > MOST:
            raise PublicationInvalid(
                f"row {rows[MOST]}: '{group}' has more than {MOST:,} rows; send its best", field=key, row=rows[MOST]
            )
        best = sorted(rows, key=lambda row: -scores[row])
        yield group, ScoredList(tuple(members[row] for row in best), tuple(float(scores[row]) for row in best))
