"""The page on installation names what `pyproject.toml` does, in the sizes that were measured."""

import re
import runpy
import tomllib

from readme_blocks import ROOT

PAGE = runpy.run_path(str(ROOT / "benchmarks" / "install_tables.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MOST_MIB = 700


def test_every_dependency_has_its_use_and_row():
    names = {re.split(r"[^\w-]", line)[0] for line in PROJECT["dependencies"]}
    assert PAGE["USES"].keys() == names
    rows = {
        cells[1].strip(): cells[5].split(", ")[0].strip()
        for line in PAGE["page"]().split("## What each package is for")[1].splitlines()
        if len(cells := line.split("|")) == 7 and cells[1].strip() not in ("package", "---")
    }
    assert {name for name, needing in rows.items() if needing == "taut"} == names
    assert "polars" not in rows


def test_every_extra_for_users_is_named():
    for_developers = {"test", "docs", "dev"}
    assert PAGE["EXTRAS"].keys() == PROJECT["optional-dependencies"].keys() - for_developers


def test_a_bare_installation_is_small():
    found = re.search(r"images need, (\d+) MiB", PAGE["page"]())
    assert found is not None
    assert int(found[1]) <= MOST_MIB
