"""A process without Polars: what needs no table runs, and what needs one names the extra in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).with_name("without_polars_child.py")
NEEDED = "expected Polars, which reads and writes tables, got none installed."
REFUSED = {"encode vae --out latents.parquet": "latents.parquet", "em rows.csv": "rows.csv"}


@pytest.fixture(scope="module")
def child(tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("without")
    run = subprocess.run(
        [sys.executable, str(CHILD)], cwd=folder, text=True, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout) | {"folder": folder}


def test_commands_that_need_no_table_run(child):
    failed = [found for found in child["commands"] if found[0] not in REFUSED and found[1]]
    assert not failed
    for table in ("samples", "vae/latents", "gmm/responsibilities", "posterior/coordinates"):
        assert (child["folder"] / f"{table}.csv").read_text().count("\n") > 1


def test_the_others_name_the_extra_in_one_line(child):
    refused = {words: (code, said) for words, code, said in child["commands"] if words in REFUSED}
    assert refused == {
        words: (2, f"taut: {where}: {NEEDED} Try `pip install 'taut[tables]'`.\n")
        for words, where in REFUSED.items()
    }


def test_estimators_take_arrays(child):
    shapes = {"numbers": [60], "mixed": [5, 3], "filled": [60, 3], "classes": [60, 2]}
    assert child["estimators"] == shapes
