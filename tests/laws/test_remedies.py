"""What a message says to try is tried: it works, or leads on to another message.

Each situation is met at both doors. The words of the remedy are read as its reader would: options with
their values are put into the command or the call, `leaving out` takes one out, and a value alone is one
for the option that the message is about. A fit counts as working once its first bound is to be computed.
"""

import ast
import contextlib
import io
import re
import shlex
from typing import Any, NamedTuple

import numpy as np
import pytest

import taut
from taut.cli.main import main
from taut.errors import TautError
from taut.evidence import EvidenceOptions

ROWS = 60


class Situation(NamedTuple):
    """A command or call that is refused: `fit` or `em`, a source, and options by their Python names."""

    command: str
    source: str
    options: dict[str, Any]


def _fit(source: str, **options: Any) -> Situation:
    return Situation("fit", source, options)


def _em(source: str, **options: Any) -> Situation:
    return Situation("em", source, options)


SITUATIONS = [
    _em("mixed.csv"),
    _fit("mixed.csv", drop="speces"),
    _fit("holes.csv", missing="refuse"),
    _fit("nan.npy", missing="refuse"),
    _fit("nan.npy", model="flow"),
    _em("nan.npy", missing="refuse"),
    _fit("inf.npy"),
    _fit("odd.csv"),
    _fit("reals.npy", split=(0.5, 0.3, 0.3)),
    _fit("reals.npy", split=(80, 10, 10)),
    _fit("reals.npy", batch_size=1000),
    _fit("reals.npy", batch_size=0),
    _fit("reals.npy", latent_dim=0),
    _fit("reals.npy", epochs=0),
    _fit("reals.npy", learning_rate=0.0),
    _fit("reals.npy", learning_rate_warmup=100_000),
    _fit("reals.npy", learning_rate_schedule="cosin"),
    _fit("reals.npy", clip_norm=0.0),
    _fit("reals.npy", validate_every=0),
    _fit("reals.npy", patience=-1),
    _fit("reals.npy", ema=1.0),
    _fit("reals.npy", optimizer="adamw"),
    _fit("reals.npy", precision="float16"),
    _fit("reals.npy", evidence_particles=1),
    _fit("reals.npy", missing="drop"),
    _fit("mixed.csv", stream="yes"),
    _fit("reals.npy", binarize="static"),
    _fit("bits.npy", binarize="dynamical"),
    _fit("reals.npy", likelihood="bernoulli"),
    _fit("unit.npy", likelihood="bernoulli"),
    _fit("reals.npy", likelihood="poisson"),
    _fit("reals.npy", likelihood="continuous-bernoulli"),
    _fit("codes.npy", likelihood="categorical"),
    _fit("reals.npy", likelihood="discretized-logistic"),
    _fit("reals.npy", likelihood="gausian"),
    _fit("reals.npy", model="vea"),
    _fit("reals.npy", bound="elbow"),
    _fit("reals.npy", bound="iwae", num_particles=0),
    _fit("reals.npy", bound="elbo", num_particles=5),
    _fit("reals.npy", bound="iwae", beta=0.5),
    _fit("reals.npy", free_bits=-1.0),
    _fit("reals.npy", kl="sampled", free_bits=1.0),
    _fit("reals.npy", bound="elbo", gradient="dreg"),
    _fit("reals.npy", gradient="rebar"),
    _fit("reals.npy", gradient="gumbel-softmax"),
    _fit("reals.npy", gradient="stl", bound="iwae"),
    _fit("reals.npy", model="discrete", gradient="reparameterized"),
    _fit("reals.npy", model="discrete", latents="bernoulli"),
    _fit("reals.npy", model="discrete", latents="bernoulli:60", gradient="enumeration"),
    _fit("reals.npy", model="mixture-vae", components=1),
    _fit("reals.npy", model="mixture-vae", bound="iwae"),
    _fit("reals.npy", model="mixture-vae", bound="iwae", num_particles=1, gradient="stl"),
    _fit("reals.npy", model="mixture-vae", bound="renyi", gradient="vimco"),
    _fit("reals.npy", model="mixture-vae", gradient="rloo"),
    _fit("reals.npy", model="mixture-vae", gradient="score-function", free_bits=0.1),
    _fit("reals.npy", model="vq", latents="8"),
    _fit("reals.npy", model="vq", bound="iwae"),
    _fit("reals.npy", model="ladder", latent_dims="4,2", hidden="8"),
    _fit("reals.npy", guide="full"),
    _fit("reals.npy", guide="iaf:0"),
    _fit("reals.npy", prior="flow:abs"),
    _fit("reals.npy", inference="em"),
    _fit("reals.npy", inference="semi-amortised"),
    _fit("reals.npy", inference="wake-sleep", bound="elbo"),
    _fit("reals.npy", inference="codebook-averages"),
    _fit("counts.npy", model="flow", layers="affine-coupling:2"),
    _fit("bits.npy", model="flow", layers="affine-coupling:2"),
    _fit("constant.csv", model="flow", layers="affine-coupling:2"),
    _fit("reals.npy", model="gmm", components=0),
    _em("bits.npy"),
    _em("reals.npy", model="lca"),
    _em("reals.npy", covariance="diagonal"),
    _em("reals.npy", components="5-1"),
    _em("reals.npy", components="1-3", select="aic"),
    _em("reals.npy", model="ppca", components=4),
    _em("reals.npy", model="fa", components=9),
    _em("reals.npy", floor=-1.0),
    _em("reals.npy", restarts=0),
    _em("reals.npy", max_iterations=0),
]
# A value alone is no remedy for these in Python, where `em` takes objects and no model of another kind.
ONLY_ON_THE_COMMAND_LINE = {"components='5-1'"}


class Reached(Exception):
    """The first bound is to be computed: all that was asked can be done."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small files of every kind."""
    path, rng = tmp_path_factory.mktemp("remedies"), np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).round(3)
    np.save(path / "reals.npy", x)
    np.save(path / "bits.npy", x > 0)
    np.save(path / "unit.npy", rng.random((ROWS, 4)))
    np.save(path / "counts.npy", rng.poisson(40, size=(ROWS, 4)))
    np.save(path / "codes.npy", rng.integers(0, 4, size=(ROWS, 4)))
    for name, cell in (("nan", np.nan), ("inf", np.inf)):
        broken = x.copy()
        broken[3, 1] = cell
        np.save(path / f"{name}.npy", broken)
    for name, cell in (("holes", ""), ("odd", "unknown")):
        lines = [f"{a},{cell if i == 5 else b},{c}" for i, (a, b, c, _) in enumerate(x)]
        (path / f"{name}.csv").write_text("\n".join(["a,b,c", *lines]))
    lines = [f"{'AB'[i % 2]},{'xy'[i % 2]},{a},{b},{'mf'[i % 2]}" for i, (a, b, *_) in enumerate(x)]
    (path / "mixed.csv").write_text("\n".join(["species,island,bill,depth,sex", *lines]))
    lines = [f"{a},0.1,{b}" for a, b, *_ in x]
    (path / "constant.csv").write_text("\n".join(["a,b,c", *lines]))
    return path


@pytest.fixture
def no_steps(monkeypatch, folder):
    """Nothing is trained; commands run in the folder with the files."""

    def reached(*_: Any, **__: Any) -> Any:
        raise Reached

    monkeypatch.setattr("taut.api.amortized.expected_bound", reached)
    monkeypatch.setattr("taut.inference.exact.restarts.run_em", reached)
    monkeypatch.chdir(folder)


def _typed(situation: Situation) -> list[str]:
    """A situation as a command."""
    words = [situation.command, situation.source]
    for name, value in situation.options.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    return words


def _at_the_command_line(situation: Situation) -> str | None:
    """The one line that a command ends with; None where it works."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(_typed(situation))
        except Reached:
            return None
    assert code in (0, 2), err.getvalue()
    return err.getvalue().strip().splitlines()[-1] if code else None


def _in_python(situation: Situation) -> str | None:
    """The message of a call; None where it works."""
    options = dict(situation.options)
    if situation.command == "em":
        options = {"model": "gmm", "inference": "em", **options}
    try:
        taut.fit(situation.source, **options)
    except Reached:
        return None
    except TautError as error:
        return str(error)
    return None


# How each door writes an option with its value, one that is meant without a value, and booleans.
_FLAG = re.compile(r"--([a-z][a-z-]*)(?: ('[^']*'|[^\s,;)]+(?:,[^\s,;)]+)*))?")
_KEYWORD = re.compile(r"(?<![\w-])([a-z_]+)=(\"[^\"]*\"|\([^)]*\)|[-\w.]+)")
_WORDS = {"with", "or", "for", "where", "to", "in"}
_ALTERNATIVES = re.compile(r",? or |, which |; ")


def _mentioned(text: str, door: str) -> dict[str, Any]:
    """The options with values in a part of a remedy, by Python's names."""
    if door == "Python":
        return {name: ast.literal_eval(value) for name, value in _KEYWORD.findall(text)}
    found = {}
    for name, value in _FLAG.findall(text):
        if value and value not in _WORDS:
            found[name.replace("-", "_")] = shlex.split(value.rstrip("."))[0]
    return found


def _left_out(text: str) -> list[str]:
    """The options that a part of a remedy takes out."""
    found = re.findall(r"(?:leaving out|no) (?:--|`)([a-z_-]+)", text)
    return [name.replace("-", "_") for name in found]


def _tries(message: str, situation: Situation, door: str) -> list[Situation]:
    """What the remedy of a message says to do, one situation for each of its alternatives."""
    where, remedy = message.partition(": expected")[0], message.rpartition(". Try ")[2]
    about = where.removeprefix("taut: ").replace("-", "_")
    tries = []
    for part in _ALTERNATIVES.split(remedy.removesuffix(".")):
        options = dict(situation.options)
        given, without = _mentioned(part, door), _left_out(part)
        value = re.match(r"'([^']+)'|([\w.:,-]+)", part)
        if given or without:
            options |= given
            for name in without:
                options.pop(name)
        elif about in options and value and not tries:
            text = value[1] or value[2]
            with contextlib.suppress(ValueError, SyntaxError):
                text = ast.literal_eval(text) if door == "Python" else text
            options[about] = text
        elif situation.options.get("drop") == "speces" and value:  # the message names the file
            options["drop"] = value[1]
        else:
            continue
        tries.append(situation._replace(options=options))
    return tries


def _named(situation: Situation) -> str:
    options = ", ".join(f"{n}={v!r}" for n, v in situation.options.items())
    return f"{situation.command}-{situation.source}-{options}"


@pytest.mark.parametrize("door", ["command line", "Python"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=_named)
def test_what_a_message_says_to_try_works_or_leads_on(situation, door, no_steps):
    if door == "Python" and any(only in _named(situation) for only in ONLY_ON_THE_COMMAND_LINE):
        pytest.skip("Python takes a range of numbers as a range")
    meet = _at_the_command_line if door == "command line" else _in_python
    message = meet(situation)
    assert message is not None, "nothing is refused"
    tries = _tries(message, situation, door)
    assert tries, message
    for tried in tries:
        assert meet(tried) != message, (message, tried)


# ---- Commands about a run --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(folder):
    """A fit and a posterior."""
    x = np.load(folder / "reals.npy")
    taut.em(str(folder / "reals.npy"), components=1, out=folder / "fit")
    posterior = taut.infer(
        lambda m, y: -0.5 * (m**2 + ((y - m) ** 2).sum()),
        support={"m": "real"},
        data={"y": x[:, 0]},
    )
    posterior.save(folder / "posterior")
    return folder


def _line(*words: str) -> str | None:
    """The line that a command is refused with; None where it works."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = main(list(words))
    return err.getvalue().strip().splitlines()[-1] if code else None


@pytest.mark.parametrize(
    ("command", "mended"),
    [
        (
            "evaluate fit --method monte-carlo --num-particles 1",
            "evaluate fit --method monte-carlo --num-particles 100",
        ),
        ("evaluate fit --split tests", "evaluate fit --split test"),
        ("evaluate posterior", "show posterior"),
        ("sample posterior", "show posterior"),
        ("encode posterior", "show posterior"),
        ("sample fit -n 0", "sample fit -n 64 --out x.npy"),
        ("sample fit --out x.txt", "sample fit --out x.png"),
        ("encode fit --out z.png", "encode fit --out z.csv"),
        ("encode fit --split tess", "encode fit --split test"),
        ("reconstruct fit -n 0", "reconstruct fit -n 16 --out x.npy"),
        ("interpolate fit 0 1 -n 1", "interpolate fit 0 1 -n 10 --out x.npy"),
        ("interpolate fit 0 1000", "interpolate fit 0 1"),
        ("compare fit nowhere", "em reals.npy --components 1 --out nowhere"),
        ("fit reals.npy --out fit", "em reals.npy --components 1 --out fit --force"),
        ("em reals.npy --floor 1 --floor 2", "em --help"),
    ],
)
def test_what_a_command_about_a_run_says_to_try_works_or_leads_on(
    command, mended, runs, monkeypatch
):
    """By hand: the words of the remedy are in the command that is written here."""
    monkeypatch.chdir(runs)
    message = _line(*command.split())
    assert message is not None
    remedy = message.rpartition(". Try ")[2]
    added = [word for word in mended.split() if word not in command.split()]
    assert any(word in remedy for word in added) or "one of them" in remedy, (remedy, added)
    assert _line(*mended.split()) != message


def test_a_list_may_be_typed_piece_by_piece(folder, no_steps):
    pieces = ["fit", "mixed.csv", "--drop", "species", "--drop", "island", "--drop", "sex"]
    for words in (pieces, ["fit", "mixed.csv", "--drop", "species,island", "--drop", "sex"]):
        with pytest.raises(Reached):
            main(words)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lr", "learning-rate"),
        ("learn", "learning-rate"),
        ("hiden", "hidden"),
        ("batchsize", "batch-size"),
    ],
)
def test_an_option_is_known_by_its_initials_its_beginning_or_nearly_its_letters(typed, meant):
    line = _line("fit", "digits", f"--{typed}", "1")
    assert line is not None
    assert line.endswith(f"Try --{meant}.")


def test_an_option_like_none_is_looked_up():
    line = _line("fit", "digits", "--zzz", "1")
    assert line is not None
    assert line.endswith("Try `taut fit --help`.")


# ---- Calls -----------------------------------------------------------------------------------------


def test_a_fit_that_cannot_be_saved_is_not_lost(runs, tmp_path):
    """What was to be saved is where the message says, and the remedy replaces the run that is there."""
    fit = taut.load(runs / "fit")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other").touch()
    fit.save(tmp_path / "run")
    for taken in ("run", "file", "folder"):
        with pytest.raises(taut.InputError) as refused:
            fit.save(tmp_path / taken)
        kept = tmp_path / f"{taken}-1"
        assert f"is kept in {kept}" in str(refused.value)
        np.testing.assert_array_equal(taut.load(kept).sample(3), fit.sample(3))
        assert ("force=True" in str(refused.value)) == (taken == "run")
    assert fit.save(tmp_path / "run", force=True) == tmp_path / "run"
    assert fit.save(tmp_path / "another") == tmp_path / "another"


@pytest.mark.parametrize("choice", ["gmm", taut.GMM, None])
def test_a_choice_is_a_name_a_class_or_an_object(choice, folder, no_steps):
    with pytest.raises(Reached):
        taut.em(str(folder / "reals.npy"), model=choice)
    with pytest.raises(Reached):
        taut.fit(str(folder / "reals.npy"), bound=taut.IWAE)


def test_a_bound_by_name_has_its_own_particles(folder, no_steps, monkeypatch):
    seen = []

    def reached(recipe, *_, **__):
        seen.append(recipe)
        raise Reached

    monkeypatch.setattr("taut.api.fitting.fit_amortized", reached)
    with pytest.raises(Reached):
        taut.fit(str(folder / "reals.npy"), bound="iwae", num_particles=7)
    assert seen[0].bound.num_particles == 7
    assert seen[0].evidence == EvidenceOptions()
