"""How a command that is interrupted or fails ends: its code, its line, and the traceback on request."""

import pytest

from taut.cli.main import main

QUICK = ["--hidden", "16", "--latent-dim", "2", "--epochs", "2", "--evidence-particles", "30"]


def test_interrupted_and_failed_runs_have_their_codes(monkeypatch, tmp_path, capsys):
    import taut.api.amortized as fitting

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "train", interrupted)
    assert main(["fit", "digits", "--out", str(tmp_path / "a"), *QUICK]) == 130
    line = f"taut: interrupted; `taut resume {tmp_path / 'a'}` goes on"
    assert capsys.readouterr().err.strip() == line

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fitting, "train", full)
    assert main(["fit", "digits", "--out", str(tmp_path / "b"), *QUICK]) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="expected a run folder"):
        main(["show", str(tmp_path / "none"), "--debug"])
