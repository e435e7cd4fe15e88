"""The catalogue of texts: every language has every text, and the scripts use no other."""

import json
import re
from pathlib import Path

import pytest

STATIC = Path("serving/console/static")
TEXTS = json.loads((STATIC / "texts.json").read_text())


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_every_language_has_the_same_texts_with_the_same_values(language):
    values = {name: sorted(re.findall(r"\{\w+\}", text)) for name, text in TEXTS["en"].items()}
    assert {name: sorted(re.findall(r"\{\w+\}", text)) for name, text in TEXTS[language].items()} == values
    assert all(text.strip() for text in TEXTS[language].values())


def test_the_scripts_use_texts_that_exist():
    scripts = [*STATIC.glob("*.js"), *(STATIC / "pages").glob("*.js")]
    used = {name for script in scripts for name in re.findall(r'\bt\("([\w.]+)"[,)]', script.read_text())}
    assert len(used) > 40
    assert used - TEXTS["en"].keys() == set()


def test_every_definition_has_its_figure():
    names = {name.removeprefix("definition.") for name in TEXTS["en"] if name.startswith("definition.")}
    assert {f"figure.{name}" for name in names} <= TEXTS["en"].keys()
