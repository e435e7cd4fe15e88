"""Reads cells of a column as numbers and ids. A cell that is neither raises CellInvalid, whose text says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from schemas.values.ids import INVISIBLE, id_fault

_INFINITY: Final = float("inf")
_EXACT: Final = 2**53
"""Whole numbers beyond this have lost digits in a float."""
_MAX_INT: Final = 2**63
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(?:\d+(?:,\d+)?|\d{1,3}(?:\.\d{3})+,\d+)", re.ASCII)
_SURELY_COMMA: Final = re.compile(r"[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|\d{1,3}(?:\.\d{3})+,\d+)", re.ASCII)
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_WHOLE: Final = re.compile(r"\d+\.0+", re.ASCII)
_FRACTION: Final = re.compile(r"\d+\.\d*[1-9]\d*", re.ASCII)
_ROUNDED: Final = re.compile(r"\d(?:\.\d+)?E\+\d{2,}", re.ASCII)

NumberReader = Callable[[Any], float]
IdReader = Callable[[Any], str | None]


class CellInvalid(ValueError):
    """A cell has the wrong form; the text says what is wrong. Rows are counted by ``reason``."""

    def __init__(self, detail: str, reason: str = "malformed") -> None:
        super().__init__(detail)
        self.reason = reason


def read_number(cell: Any) -> float:
    """The finite number that a cell holds in plain decimal notation; raises CellInvalid."""
    try:
        number = float(cell)
    except (ValueError, TypeError, OverflowError) as error:
        raise CellInvalid(f"is not a number{_number_hint(cell)}", "not-a-number") from error
    if -_INFINITY < number < _INFINITY and is_plain(cell):
        return number
    raise CellInvalid(f"is not a number{_number_hint(cell)}", "not-a-number")


def is_plain(cell: Any) -> bool:
    """True for what ``float`` reads as people do: not ``1_5``, other digits than ASCII, or true and false."""
    kind = cell.__class__
    return cell.isascii() and "_" not in cell if kind is str else kind is float or kind is int


def _number_hint(cell: Any) -> str:
    if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell.strip()):
        return "; if its comma is a decimal one, say --decimal-comma"
    if isinstance(cell, str) and _THOUSANDS.fullmatch(cell.strip()):
        return "; write it without separators of thousands"
    return ""


def read_decimal_comma(cell: Any) -> float:
    """The number that a cell holds with a decimal comma, as in ``1.000,5``; raises CellInvalid."""
    if not isinstance(cell, str):
        return read_number(cell)
    text = cell.strip()
    if not _DECIMAL_COMMA.fullmatch(text):
        raise CellInvalid("is not a number with a decimal comma, which this column has", "not-a-number")
    return read_number(text.replace(".", "").replace(",", "."))


def number_reader(sample: Sequence[Any], *, decimal_comma: bool = False) -> NumberReader:
    """How a column's numbers are read, judged by cells of it: with a decimal comma if they can be nothing else."""
    texts = [cell.strip() for cell in sample if isinstance(cell, str) and cell.strip()]
    has_comma = any(_SURELY_COMMA.fullmatch(text) for text in texts)
    has_point = any(_FRACTION.fullmatch(text) or _WHOLE.fullmatch(text) or _THOUSANDS.fullmatch(text) for text in texts)
    return read_decimal_comma if decimal_comma or (has_comma and not has_point) else read_number


def read_id(cell: Any) -> str | None:
    """The id that a cell holds, without blanks around it; None for an empty cell. Raises CellInvalid.

    A JSON number is an id only if no digit of it can be lost.
    """
    # Most ids are letters and digits, and need no closer look.
    if cell.__class__ is str:
        return cell if cell.isalnum() else _text_id(cell)
    return _value_id(cell)


def _read_whole_id(cell: Any) -> str | None:
    if cell.__class__ is not str:
        return _value_id(cell)
    if cell.isalnum():
        return cell
    id_ = _text_id(cell)
    return id_.partition(".")[0] if id_ is not None and _WHOLE.fullmatch(id_) else id_


def _text_id(cell: str) -> str | None:
    text = cell.strip().strip(INVISIBLE).strip()
    if fault := id_fault(text):
        raise CellInvalid(f"is not an id: {fault}", "not-an-id")
    if _ROUNDED.fullmatch(text):
        raise CellInvalid("is not an id: a spreadsheet rounded it; export the column as text", "not-an-id")
    return text or None


def _value_id(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and -_EXACT <= value <= _EXACT and value.is_integer():
        return str(int(value))
    if isinstance(value, float):
        raise CellInvalid("is not an id: digits of such a number are lost; write it as text", "not-an-id")
    if not isinstance(value, int) or isinstance(value, bool):
        raise CellInvalid("is not an id: an id is text or a whole number", "not-an-id")
    if not -_MAX_INT <= value < _MAX_INT:
        raise CellInvalid("is not an id: it needs more than 64 bits; write it as text", "not-an-id")
    return str(value)


def id_reader(sample: Sequence[Any]) -> IdReader:
    """How a column's ids are read, judged by cells of it: ``123.0`` is 123 unless the ids have fractions (versions)."""
    return (
        read_id
        if any(isinstance(cell, str) and _FRACTION.fullmatch(cell.strip()) for cell in sample)
        else _read_whole_id
    )


def texts(value: Any) -> list[str]:
    """The texts of a list, however nested; a text is one entry, anything else none."""
    if isinstance(value, list | tuple):
        return [entry for member in value for entry in texts(member)]
    text = value.strip() if isinstance(value, str) else ""
    return [text] if text else []
