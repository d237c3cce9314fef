"""Messages name options as data: Python reads keywords and the command line flags, as they are typed."""

import ast
import inspect
import pickle
import re
import shlex
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import taut
from taut.cli.flags import given
from taut.cli.main import COMMANDS, app_for, main
from taut.cli.placement import Placement
from taut.errors import InputError, option
from taut.inference.posterior import PosteriorOptions
from taut.recipe import CHOICES, options
from taut.recipe.option import typed

SOURCE = Path(taut.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]")


def below_the_command_line():
    """Modules of the lower layers; `errors` puts options into words."""
    found = {p.relative_to(SOURCE): p for p in SOURCE.rglob("*.py")}
    return sorted(p for r, p in found.items() if r.parts[0] not in ("cli", "errors.py"))


def flags_in(source):
    """The strings of a module that spell a flag, without its docstrings."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and id(node) not in docs and FLAG.search(node.value)
    ]  # fmt: skip


def named_in(source):
    """The names that a module gives to `option`."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "option"
        and isinstance(node.args[0], ast.Constant)
    }  # fmt: skip


def typed_on_the_command_line():
    """Everything that some command takes, with underscores."""
    names = {*CHOICES, *options()}
    names |= {f.name for kind in (PosteriorOptions, Placement) for f in fields(kind)}
    for command in COMMANDS:
        function = app_for([command])[command].default_command
        names |= set(inspect.signature(function).parameters)
    return names | {"seed"}


def test_below_the_command_line_no_string_spells_a_flag():
    found = {path.name: flags_in(path.read_text()) for path in below_the_command_line()}
    assert {name: flags for name, flags in found.items() if flags} == {}


def test_a_planted_flag_is_found():
    planted = """
    'Of --docs.'
    def f(x):
        'Of --docs.'
        raise InputError(f"{x} --bound iwae", "a--b", "-n 2")
    """
    assert flags_in(inspect.cleandoc(planted)) == [" --bound iwae"]


def test_every_option_that_a_message_names_can_be_typed():
    known = typed_on_the_command_line()
    for path in below_the_command_line():
        assert named_in(path.read_text()) <= known, path
    assert named_in('option("no_such"), option("kl", "closed")') - known == {"no_such"}


PLAIN = [o for o in options().values() if isinstance(o.default, bool | int | float | str | tuple)]


@pytest.mark.parametrize("chosen", PLAIN, ids=lambda o: o.name)
def test_a_remedy_is_what_each_door_takes(chosen):
    """Python's parser reads back the keyword, the command line's the flag."""
    error = InputError("a", "b", option(chosen.name, chosen.default))
    *_, python = str(error).removesuffix(".").partition("Try ")
    assert eval(f"dict({python})") == {chosen.name: chosen.default}
    *_, flags = error.worded("command line").removesuffix(".").partition("Try ")
    assert flags.startswith("--")
    if chosen.default == ():
        return  # no columns are left out by leaving the option out
    command = ["fit", "digits", *shlex.split(flags)]
    _, bound, _ = app_for(command).parse_args(command, exit_on_error=False, print_error=False)
    (value,) = given(bound.arguments["options"]).values()
    assert typed(chosen, value) == chosen.default


@pytest.mark.parametrize(
    ("value", "python", "flag"),
    [
        ("drop-rows", 'missing="drop-rows"', "--missing drop-rows"),
        ("a b", 'missing="a b"', "--missing 'a b'"),
        (2, "missing=2", "--missing 2"),
        (1e-6, "missing=1e-06", "--missing 1e-06"),
        (True, "missing=True", "--missing"),
        (False, "missing=False", "--no-missing"),
        (None, "missing=None", "--missing none"),
        (("a", "b"), 'missing=("a", "b")', "--missing a,b"),
        (("a",), 'missing=("a",)', "--missing a"),
        ({"rows": 1000}, 'missing={"rows": 1000}', "--missing rows:1000"),
    ],
)
def test_values_in_words(value, python, flag):
    error = InputError("a", "b", option("missing", value))
    assert str(error) == f"expected a, got b. Try {python}."
    assert error.worded("command line") == f"expected a, got b. Try {flag}."


def test_an_option_without_a_value_and_as_the_place():
    error = InputError("a", "b", f"leaving out {option('closed_form')}", where=option("reg_covar"))
    assert str(error) == "reg_covar: expected a, got b. Try leaving out `closed_form`."
    assert error.worded("command line") == (
        "reg-covar: expected a, got b. Try leaving out --closed-form."
    )


def test_a_message_keeps_its_options_in_another_one_and_in_a_pickle():
    inner = InputError("a", option("bound", "elbo"), option("bound", "iwae"))
    outer = InputError("c", f"none: {inner.sentences.rstrip('.')}", "d", where="e")
    for error in (outer, pickle.loads(pickle.dumps(outer))):
        assert (
            str(error)
            == 'e: expected c, got none: expected a, got bound="elbo". Try bound="iwae". Try d.'
        )
        assert "--bound iwae" in error.worded("command line")


def test_what_python_alone_can_give_is_not_offered_on_the_command_line(tmp_path, capsys):
    known = "expected one of adam, sgd, muon"
    with pytest.raises(InputError) as refused:
        taut.fit("digits", optimizer="fastest")
    assert str(refused.value).startswith(
        f"optimizer: {known}, or an Optax transformation, got 'fastest'"
    )
    assert str(refused.value).endswith("Try one of them.")
    assert main(["fit", "digits", "--optimizer", "fastest"]) == 2
    assert capsys.readouterr().err == f"taut: optimizer: {known}, got 'fastest'. Try one of them.\n"
    np.save(tmp_path / "t.npy", np.eye(20)[:, :3])
    assert main(["fit", str(tmp_path / "t.npy"), "--columns", "auto"]) == 2
    assert "got one without. Try a CSV file with a header." in capsys.readouterr().err


def test_the_doors_word_one_fault_each_for_itself(capsys):
    with pytest.raises(InputError) as refused:
        taut.fit("digits", closed_form=True, model="gmm", inference="em")
    assert str(refused.value) == (
        'closed_form: expected model="ppca", which has a closed form, got model="gmm". '
        "Try leaving out `closed_form`."
    )
    assert main(["fit", "digits", "--model", "gmm", "--closed-form"]) == 2
    assert capsys.readouterr().err == (
        "taut: closed-form: expected --model ppca, which has a closed form, got --model gmm. "
        "Try leaving out --closed-form.\n"
    )
