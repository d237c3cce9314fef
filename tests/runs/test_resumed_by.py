"""What a message says goes on with a run: a command that is not refused, or the call in Python."""

import pytest

from taut.runs import RunFolder
from taut.runs.resumed_by import resumed_by

AGAIN = "the same call in Python with resume=True"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data": {"source": "digits"}}, "`taut resume {run}`"),
        ({"data": {"missing": "model"}}, AGAIN),
        ({"program": "eight schools.py:model", "posterior": {}},
         "`taut resume {run} 'eight schools.py:model'`"),
        ({"posterior": {}}, AGAIN),
        ({}, "`taut resume {run}`"),
    ],
)  # fmt: skip
def test_it_follows_from_what_the_run_was_asked(settings, words, tmp_path):
    run = RunFolder.create(tmp_path / "run", settings)
    assert resumed_by(run.path) == words.format(run=run.path)


def test_of_a_run_that_replaces_another_it_is_that_run_s(tmp_path):
    old = RunFolder.create(tmp_path / "run", {"data": {"source": "digits"}})
    new = RunFolder.create(old.path, {"program": "p.py", "posterior": {}}, force=True)
    assert new.path != old.path
    assert resumed_by(old.path) == resumed_by(new.path) == f"`taut resume {old.path} p.py`"


def test_a_config_that_cannot_be_read_is_no_reason_to_say_nothing(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    (run.path / "config.toml").write_text("=")
    assert resumed_by(run.path) == f"`taut resume {run.path}`"
