"""Every flag of `taut fit`, `taut em` and `taut infer` arrives, unlike its default, at what they call.

The real parser reads the command line; what it calls is a recorder. A flag that is read and then
dropped, or laid where another belongs, leaves a record of the default.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest
from option_values import value_of, with_it

import taut
from taut.cli.main import COMMANDS, main
from taut.core import plain
from taut.data import DataOptions
from taut.inference import INFERENCES, AbstractExact
from taut.inference.posterior import PosteriorOptions
from taut.recipe import Option, Recipe, options, recipe_of
from taut.runs import to_toml

EXACT = [name for name, cls in INFERENCES.items() if issubclass(cls, AbstractExact)]
# `taut em` has a range of components in place of the option, and no other model.
OF_EM = [
    (option, owner)
    for option in options().values()
    if option.table in ("model", "inference", "data")
    and option.field not in ("components", "candidates")
    for owner in (option.owners or (None,))
    if owner is None or owner in ("gmm", "lca", "mixed", "ppca", "fa", *EXACT)
]
# Choices that differ in an option's default may differ in how it is read.
OF_FIT = [
    (option, owner)
    for option in options().values()
    for owner in (option.owners if option.default is MISSING else option.owners[:1]) or (None,)
]


class Called(Exception):
    """The recorder was reached; nothing that comes after is of interest."""


@pytest.fixture
def call(monkeypatch, tmp_path) -> Callable[..., dict[str, Any]]:
    """A command line -> the keywords that `taut.fit` or `taut.infer` would be called with."""
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}

    def load(asked: DataOptions) -> Any:
        return replace(DIGITS, options=asked)

    def record(*arguments: Any, **keywords: Any) -> Any:
        found.update(keywords, arguments=arguments)
        raise Called

    def record_posterior(program: Any, recipe: Any, **keywords: Any) -> Any:
        options = {f.name: getattr(recipe.posterior, f.name) for f in fields(PosteriorOptions)}
        record(program, **options, **keywords)

    @contextlib.contextmanager
    def over(devices: Any) -> Iterator[None]:
        found["devices"] = devices
        yield

    monkeypatch.setattr("taut.core.devices.over_devices", over)
    monkeypatch.setattr(DataOptions, "load", load)
    monkeypatch.setattr("taut.cli.passes.announce", lambda *_: None)
    monkeypatch.setattr(taut, "fit", record)
    monkeypatch.setattr("taut.api.inferring.infer_recipe", record_posterior)

    def run(*words: str) -> dict[str, Any]:
        found.clear()
        with pytest.raises(Called):
            main(list(words))
        return dict(found)

    return run


DIGITS = taut.load_data("digits")


def _words(option: Option, value: Any) -> list[str]:
    """An option as it is typed."""
    flag = option.name.replace("_", "-")
    if option.text is bool:
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]


def _asked(option: Option, owner: str | None) -> list[str]:
    words = []
    if owner is not None:
        words += [f"--{option.table}", owner]
    for name, value in with_it(option).items():
        words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return words + _words(option, value_of(option, owner))


def _in(recipe: Recipe, option: Option) -> Any:
    if option.table == "likelihood":
        return recipe.model.likelihood_options[option.field]
    return plain(getattr(getattr(recipe, option.table), option.field))


def _for_python(option: Option, owner: str | None) -> dict[str, Any]:
    choice = {} if owner is None else {option.table: owner}
    return {**choice, **with_it(option), option.name: value_of(option, owner)}


@pytest.mark.parametrize(("option", "owner"), OF_FIT, ids=[f"{o.name}-{w}" for o, w in OF_FIT])
def test_a_flag_of_fit_arrives(option, owner, call):
    recipe = call("fit", "digits", *_asked(option, owner))["recipe"]
    assert _in(recipe, option) != plain(option.default)
    assert _in(recipe, option) == _in(recipe_of(_for_python(option, owner)), option)


@pytest.mark.parametrize(("option", "owner"), OF_EM, ids=[f"{o.name}-{w}" for o, w in OF_EM])
def test_a_flag_of_em_arrives(option, owner, call):
    words = [] if owner is None else [f"--{option.table}", owner]
    words += ["--model", "ppca"] if option.name == "closed_form" else []
    value = value_of(option, owner)
    recipe = call("em", "digits", *words, *_words(option, value))["recipe"]
    assert _in(recipe, option) != plain(option.default)
    assert _in(recipe, option) == plain(value)


@pytest.mark.parametrize("name", [f.name for f in fields(PosteriorOptions)])
def test_a_flag_of_infer_arrives(name, call, tmp_path):
    program = tmp_path / "p.py"
    program.write_text("def p(y):\n    pass\n")
    text = OF_INFER[name]
    found = call("infer", str(program), f"--{name.replace('_', '-')}", text)
    wanted = {"rows": 7} if name == "subsample" else text
    assert found[name] != getattr(PosteriorOptions(), name)
    assert str(found[name]) == str(wanted)
    others = {f.name: f.default for f in fields(PosteriorOptions) if f.name != name}
    assert {n: found.get(n) for n in others} == others


OF_INFER = {
    "guide": "mean-field",
    "precision_nats": "0.25",
    "num_starts": "7",
    "init": "pathfinder",
    "num_draws": "321",
    "refine": "none",
    "subsample": "rows:7",
    "precision": "float32",
}

# What a command takes beside the options of a recipe: words, and what is then called otherwise.
BESIDE: dict[str, dict[str, Callable[[Path], tuple[list[str], dict[str, Any]]]]] = {
    "fit": {
        "out": lambda here: (["--out", str(here / "r")], {"out": here / "r"}),
        "force": lambda here: (["--force", "--out", str(here / "r")], {"force": True}),
        "config": lambda here: (["--config", _file(here, "epochs = 3\nseed = 5\n")], {}),
        "json": lambda here: (["--json"], {"progress": None}),
        "place": lambda here: (["--devices", "1"], {"devices": "1"}),
    },
    "em": {
        "out": lambda here: (["--out", str(here / "r")], {"out": here / "r"}),
        "force": lambda here: (["--force", "--out", str(here / "r")], {"force": True}),
        "config": lambda here: (["--config", _file(here, "restarts = 3\nseed = 5\n")], {}),
        "components": lambda here: (["--components", "2-3"], {}),
        "online": lambda here: (["--online"], {}),
        "json": lambda here: (["--json"], {"progress": None}),
        "place": lambda here: (["--devices", "1"], {"devices": "1"}),
    },
    "infer": {
        "data": lambda here: (["--data", _file(here, '{"y": 2}', "d.json")], {"data": {"y": 2}}),
        "out": lambda here: (["--out", str(here / "r")], {}),
        "force": lambda here: (["--force", "--out", str(here / "r")], {}),
        "config": lambda here: (["--config", _file(here, "seed = 5\nnum-starts = 2\n")],
                                {"key": 5, "num_starts": 2}),
        "json": lambda here: (["--json"], {}),
        "place": lambda here: (["--devices", "1"], {"devices": "1"}),
    },
}  # fmt: skip


def _file(folder: Path, text: str, name: str = "c.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("command", BESIDE)
def test_what_a_command_takes_beside_its_options_is_all_here(command):
    module, _, maker = COMMANDS[command][0].partition(":")
    made = getattr(__import__(module, fromlist=[maker]), maker)([])
    keywords = inspect.signature(made).parameters.values()
    assert {p.name for p in keywords if p.kind is p.KEYWORD_ONLY} == {*BESIDE[command], "options"}


@pytest.mark.parametrize(
    ("command", "flag"), [(c, f) for c, flags in BESIDE.items() for f in flags]
)
def test_what_is_no_option_arrives_too(command, flag, call, tmp_path):
    program = _file(tmp_path, "def p(y):\n    pass\n", "p.py")
    source = program if command == "infer" else "digits"
    words, wanted = BESIDE[command][flag](tmp_path)
    found = call(command, source, *words)
    assert {name: found[name] for name in wanted} == wanted
    if flag == "config" and command != "infer":
        recipe = found["recipe"]
        assert recipe.seed == 5
        assert (recipe.training.epochs if command == "fit" else recipe.inference.restarts) == 3
    if flag == "components":
        assert (found["recipe"].model.components, found["recipe"].inference.candidates) == (
            2,
            (2, 3),
        )
    if flag == "online":
        assert found["recipe"].inference.name == "online-em"


@pytest.mark.parametrize("command", BESIDE)
def test_the_seed_and_the_run_folder_arrive(command, call, tmp_path):
    program = _file(tmp_path, "def p(y):\n    pass\n", "p.py")
    found = call(command, program if command == "infer" else "digits", "--seed", "7")
    assert (found["key"] if command == "infer" else found["recipe"].seed) == 7


# A command, two options of a file, the first one typed beside it, and where both are found: 4, then 7.
WINS: dict[str, tuple[str, str, list[str], Callable[[dict[str, Any]], tuple[Any, Any]]]] = {
    "fit": ("fit", "epochs = 3\npatience = 7", ["--epochs", "4"],
            lambda f: (f["recipe"].training.epochs, f["recipe"].training.patience)),
    "fit, seed": ("fit", "seed = 3\nepochs = 7", ["--seed", "4"],
                  lambda f: (f["recipe"].seed, f["recipe"].training.epochs)),
    "em": ("em", "restarts = 3\nmax-iterations = 7", ["--restarts", "4"],
           lambda f: (f["recipe"].inference.restarts, f["recipe"].inference.max_iterations)),
    "em, seed": ("em", "seed = 3\nrestarts = 7", ["--seed", "4"],
                 lambda f: (f["recipe"].seed, f["recipe"].inference.restarts)),
    "em, components": ("em", "components = 3\nrestarts = 7", ["--components", "4"],
                       lambda f: (f["recipe"].model.components, f["recipe"].inference.restarts)),
    "infer": ("infer", "num-starts = 3\nseed = 7", ["--num-starts", "4"],
              lambda f: (f["num_starts"], f["key"])),
    "infer, seed": ("infer", "seed = 3\nnum-starts = 7", ["--seed", "4"],
                    lambda f: (f["key"], f["num_starts"])),
}  # fmt: skip


@pytest.mark.parametrize("case", WINS)
def test_options_on_the_command_line_win_over_those_of_a_file(case, call, tmp_path):
    command, text, typed, read = WINS[case]
    program = _file(tmp_path, "def p(y):\n    pass\n", "p.py")
    source = program if command == "infer" else "digits"
    config = ["--config", _file(tmp_path, text)]
    assert read(call(command, source, *config)) == (3, 7)
    assert read(call(command, source, *config, *typed)) == (4, 7)


@pytest.mark.parametrize("command", ["fit", "em"])
def test_data_on_the_command_line_win_over_those_of_a_file(command, call, tmp_path):
    config = ["--config", _file(tmp_path, 'data = "mnist:elsewhere"')]
    assert call(command, *config)["recipe"].data.source == "mnist:elsewhere"
    assert call(command, "digits", *config)["recipe"].data.source == "digits"


def test_a_file_of_a_selection_repeats_it(call, tmp_path):
    recipe = call("em", "digits", "--components", "2,4")["recipe"]
    again = call("em", "digits", "--config", _file(tmp_path, to_toml(recipe.to_dict())))["recipe"]
    assert again.inference == recipe.inference


def _forgets(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "clip_norm"}


def _swaps(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "patience": given.get("epochs"), "epochs": given.get("patience")}


@pytest.mark.parametrize(("planted", "name"), [(_forgets, "clip_norm"), (_swaps, "patience")])
def test_a_flag_that_is_dropped_or_laid_beside_its_place_is_caught(
    planted, name, call, monkeypatch
):
    monkeypatch.setattr(taut.recipe, "recipe_of", lambda given: recipe_of(planted(given)))
    with pytest.raises(AssertionError):
        test_a_flag_of_fit_arrives(options()[name], None, call)
