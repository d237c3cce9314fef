"""What the parser refuses reads as every other message: expected, got, try; and no run begins."""

import pytest

from taut.cli.main import COMMANDS, main


def complaint(capsys, line):
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.removesuffix("\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "fit digits --latentdim 3",
            "expected an option of taut fit, got --latentdim. Try --latent-dim.",
        ),
        (
            "fit digits --latentdim=3",
            "expected an option of taut fit, got --latentdim. Try --latent-dim.",
        ),
        ("fit digits --zzz", "expected an option of taut fit, got --zzz. Try `taut fit --help`."),
        ("show r -x 3", "expected an option of taut show, got -x. Try `taut show --help`."),
        ("evalute r", "expected a command of taut, got 'evalute'. Try 'evaluate'."),
        (
            "fit digits --epochs",
            "epochs: expected a whole number, got no value. Try `taut fit --help`.",
        ),
        (
            "fit digits --epochs ten",
            "epochs: expected a whole number, got 'ten'. Try `taut fit --help`.",
        ),
        ("fit digits --beta x", "beta: expected a number, got 'x'. Try `taut fit --help`."),
        ("fit digits --json=3", "json: expected no value, got '3'. Try `taut fit --help`."),
        (
            "fit digits --bound elbow",
            "bound: expected one of elbo, iwae, renyi, got 'elbow'. Try 'elbo'.",
        ),
        (
            "evaluate r --split tset",
            "split: expected one of train, validation, test, got 'tset'. Try 'test'.",
        ),
        (
            "interpolate r 0 x",
            "SECOND: expected a whole number, got 'x'. Try `taut interpolate --help`.",
        ),
        ("sample", "taut sample: expected RUN, got none. Try `taut sample --help`."),
        (
            "fit digits --epochs 1 --epochs 2",
            "taut fit: expected --epochs once, got it twice. Try one of them.",
        ),
        (
            "fit digits mnist",
            "taut fit: expected nothing after the last argument, got 'mnist'. Try `taut fit --help`.",
        ),
    ],
)
def test_the_parsers_refusals_in_three_parts(line, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint(capsys, line) == f"taut: {words}"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_lists_those_that_there_are(capsys):
    assert complaint(capsys, "frobnicate") == (
        f"taut: expected a command of taut, got 'frobnicate'. Try {', '.join(sorted(COMMANDS))}."
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_its_own_help(command, capsys):
    assert complaint(capsys, f"{command} --qqq") == (
        f"taut: expected an option of taut {command}, got --qqq. Try `taut {command} --help`."
    )
