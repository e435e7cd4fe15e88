"""The options that say how a file with a column map is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Final, TypeVar

import typer

from ingest.import_pipeline.formats.dialect import FileOptions, said_delimiter, said_quote
from ingest.import_pipeline.formats.times import FORMS
from ingest.importers.mapped import parse_types

T = TypeVar("T")
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
    *,
    types: Types = "",
    time_format: TimeFormat = "",
    delimiter: Delimiter = "",
    encoding: Encoding = "",
    quote: Quote = "",
    header: Header = None,
    decimal_comma: DecimalComma = False,
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


def with_file_options(command: Callable[..., T]) -> Callable[..., T]:
    """Gives a command the options of ``file_options`` in place of its parameter ``files``, to which it passes their value."""
    options = signature(file_options, eval_str=True).parameters

    @wraps(command)
    def run(**arguments: Any) -> T:
        files = file_options(**{name: arguments.pop(name) for name in options})
        return command(**arguments, files=files)

    parameters = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for own in signature(command, eval_str=True).parameters.values()
        for parameter in (options.values() if own.name == "files" else [own])
    ]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
