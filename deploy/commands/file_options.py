"""The options that say how a file with a column map is read."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from ingest.import_pipeline.formats.dialect import FileOptions, said_delimiter, said_quote
from ingest.import_pipeline.formats.times import FORMS
from ingest.importers.mapped import parse_types

_DAY: Final = 86_400

Types = Annotated[str, typer.Option(help="Event types by the words of the file: pv=view,fav=bookmark.")]
TimeFormat = Annotated[str, typer.Option(help=f"How times are written: {FORMS}.")]
Delimiter = Annotated[
    str, typer.Option(help="Between columns: one or more characters, or tab, comma, semicolon, pipe.")
]
Encoding = Annotated[str, typer.Option(help="Of the text, such as cp1252, utf-16 or shift_jis.")]
Quote = Annotated[str, typer.Option(help="Around cells: one character, or none.")]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Whether the first line names the columns.")]
DecimalComma = Annotated[bool, typer.Option("--decimal-comma", help="Numbers are written as 4,5.")]


def file_options(
    types: str, time_format: str, delimiter: str, encoding: str, quote: str, header: bool | None, decimal_comma: bool
) -> FileOptions:
    """The options as importers take them; what is empty is found out. Raises ConfigurationInvalid."""
    return FileOptions(
        encoding=encoding,
        delimiter=said_delimiter(delimiter),
        quote=said_quote(quote),
        header=header,
        time_format=time_format,
        latest=time.time() + _DAY,
        decimal_comma=decimal_comma,
        types=parse_types(types),
    )
