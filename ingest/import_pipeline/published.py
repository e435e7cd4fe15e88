"""Downloads published data sets, checks their MD5 sums and unpacks them."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from schemas.errors import ConfigurationInvalid, DatasetUnknown

Fetch = Callable[[str, Path], Path]
"""Fetches an address into a file; raises NotFetched."""

_MD5: Final = re.compile(rb"\b[0-9a-f]{32}\b")
_GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens/"
_UCSD: Final = "https://mcauleylab.ucsd.edu/public_datasets/data/"


class Published(NamedTuple):
    """The files of a data set, and the address of an MD5 sum if one is published."""

    urls: tuple[str, ...]
    md5: str = ""


_FIXED: Final = ("ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m")
SETS: Final = {name: Published((f"{_GROUPLENS}{name}.zip",), f"{_GROUPLENS}{name}.zip.md5") for name in _FIXED} | {
    "ml-latest-small": Published((f"{_GROUPLENS}ml-latest-small.zip",)),
    "ml-latest": Published((f"{_GROUPLENS}ml-latest.zip",)),
    "goodbooks": Published(("https://github.com/zygmuntz/goodbooks-10k/releases/download/v1.0/goodbooks-10k.zip",)),
    "steam-reviews": Published((f"{_UCSD}steam/steam_reviews.json.gz", f"{_UCSD}steam/steam_games.json.gz")),
}
"""Data sets that can be downloaded. RetailRocket, Deskdrop, Steam's plays (Kaggle), MIND and Diginetica need an account
or a consent."""


def downloaded(dataset: str, folder: Path, fetch: Fetch) -> Path:
    """Downloads and unpacks a data set; returns its folder. Files that exist are not fetched again.

    ``amazon:Category`` is one category of 2023. Raises NotFetched, ConfigurationInvalid for a data set that cannot be
    downloaded, and DatasetUnknown if a file does not match its published sum or is damaged.
    """
    published = _published(dataset)
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


def _published(dataset: str) -> Published:
    name, _, category = dataset.partition(":")
    if name == "amazon" and category.replace("_", "").isalnum():
        raw = f"{_UCSD}amazon_2023/raw/"
        reviews, products = f"review_categories/{category}", f"meta_categories/meta_{category}"
        return Published((f"{raw}{reviews}.jsonl.gz", f"{raw}{products}.jsonl.gz"))
    if dataset not in SETS:
        raise ConfigurationInvalid(
            f"'{dataset}' cannot be fetched by itself; there are {', '.join(SETS)} and amazon:Category. "
            "Fetch any other by hand and import its folder without --download"
        )
    return SETS[dataset]


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
