"""Downloads published data sets, checks their MD5 sums and unpacks them."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ingest.import_pipeline.base import PublishedFiles
from schemas.errors import ConfigurationInvalid, DatasetUnknown

Fetch = Callable[[str, Path], Path]
"""Fetches an address into a file; raises NotFetched."""

_MD5: Final = re.compile(rb"\b[0-9a-f]{32}\b")
_CATEGORY: Final = "Category"


def downloaded(dataset: str, folder: Path, fetch: Fetch, known: Mapping[str, PublishedFiles]) -> Path:
    """Downloads and unpacks one of the known data sets; returns its folder. Files that exist are not fetched again.

    A known name that ends in ``:Category`` stands for any category. Raises NotFetched, ConfigurationInvalid for a data set that cannot be
    downloaded, and DatasetUnknown if a file does not match its published sum or is damaged.
    """
    published = _published(dataset, known)
    folder.mkdir(parents=True, exist_ok=True)
    for url in published.urls:
        path = folder / url.rpartition("/")[2]
        if not path.exists():
            fetch(url, path)
            if published.md5:
                _check(path, fetch(published.md5, path.with_suffix(".md5")))
        if path.suffix == ".zip":
            _unpack(path, folder)
    return folder


def _published(dataset: str, known: Mapping[str, PublishedFiles]) -> PublishedFiles:
    name, colon, category = dataset.partition(":")
    published = known.get(f"{name}:{_CATEGORY}" if colon else name)
    if published is None or (colon and not category.replace("_", "").isalnum()):
        raise ConfigurationInvalid(
            f"'{dataset}' cannot be fetched by itself; there are {', '.join(known)}. "
            "Fetch any other by hand and import its folder without --download"
        )
    return published._replace(urls=tuple(url.replace("{category}", category) for url in published.urls))


def _check(path: Path, sums: Path) -> None:
    """Raises DatasetUnknown, and removes the file, if it differs from its published MD5 sum."""
    published_sum = _MD5.search(sums.read_bytes())
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if published_sum is not None and published_sum[0].decode() != actual:
        path.unlink()
        raise DatasetUnknown(f"{path} is not the file that was published (its MD5 is {actual}); run it again")


def _unpack(path: Path, folder: Path) -> None:
    """Unpacks the archive's files into the folder, without subfolders."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                target = folder / Path(member.filename).name
                if not member.is_dir() and not (target.exists() and target.stat().st_size == member.file_size):
                    with archive.open(member) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        path.unlink()
        raise DatasetUnknown(f"{path} is damaged ({error}); run it again, and it is fetched anew") from error
