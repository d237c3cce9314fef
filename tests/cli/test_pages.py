"""Help is shown from disk until what it follows from changes."""

import os
import subprocess
import sys

import pytest

from taut.cli import pages


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    """What `show_page` prints, and how often the page was made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []

    def show(*arguments):
        def make():
            made.append(arguments)
            print("Usage: ┌", len(made))

        pages.show_page(arguments, make)
        return capsys.readouterr().out, len(made)

    return show


def test_a_page_is_made_once(shown):
    assert shown("fit", "--help") == shown("fit", "--help") == ("Usage: ┌ 1\n", 1)
    assert shown("em", "--help")[1] == 2


@pytest.mark.parametrize("change", [("COLUMNS", "71"), ("FORCE_COLOR", "1")])
def test_a_page_is_of_one_kind_of_terminal(shown, monkeypatch, change):
    shown("fit", "--help")
    monkeypatch.setenv(*change)
    assert shown("fit", "--help")[1] == 2


def test_a_page_goes_with_the_code_that_made_it(shown, monkeypatch, tmp_path):
    shown("fit", "--help")
    monkeypatch.setattr(pages, "_stamp", lambda: "other code")
    assert [shown("fit", "--help")[1] for _ in range(2)] == [2, 2]
    (kept,) = (tmp_path / "taut" / "help").iterdir()
    assert kept.read_text().startswith("other code\n")


def test_a_page_that_cannot_be_read_is_made_anew(shown, tmp_path):
    shown("fit", "--help")
    (kept,) = (tmp_path / "taut" / "help").iterdir()
    for damaged in (b"", b"\xff\xff\n", kept.read_bytes()[:20]):
        before = shown("fit", "--help")[1]
        kept.write_bytes(damaged)
        assert shown("fit", "--help")[1] == before + 1


def test_pages_are_not_kept_where_others_may_write(shown, tmp_path):
    folder = tmp_path / "taut" / "help"
    folder.mkdir(parents=True)
    os.chmod(folder, 0o777)
    assert [shown("fit", "--help")[1] for _ in range(2)] == [1, 2]
    assert not list(folder.iterdir())


def test_there_are_not_many_pages(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "_MOST", 3)
    for width in range(60, 70):
        shown("fit", "--help", str(width))
    assert len(list((tmp_path / "taut" / "help").iterdir())) == 4
    assert shown("fit", "--help", "69")[1] == 10


def test_a_page_that_fails_is_not_kept(shown, tmp_path):
    def fail():
        print("Usage")
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        pages.show_page(["fit", "--help"], fail)
    assert not list((tmp_path / "taut" / "help").iterdir())


def test_only_help_and_scripts_for_shells_are_pages():
    for shown in (["fit", "--model", "vq", "-h"], ["completion", "bash"]):
        assert pages.is_page(shown)
    for runs in ([], ["fit", "help"], ["fit", "--", "--help"], ["fit", "--out=--help"],
                 ["fit", "completion"]):  # fmt: skip
        assert not pages.is_page(runs)


def test_the_second_help_of_a_command_imports_nothing_of_it(tmp_path):
    asked = (
        "import sys; sys.argv = ['taut', 'show', '--help']; from taut.cli.main import main; main()"
    )
    told = f"{asked}; print('taut.cli.show' in sys.modules)"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "COLUMNS": "100"}
    outs = [
        subprocess.run(
            [sys.executable, "-c", told],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    first, second = (out.splitlines() for out in outs)
    assert first[:-1] == second[:-1]
    assert "Usage: taut show" in outs[0]
    assert (first[-1], second[-1]) == ("True", "False")
