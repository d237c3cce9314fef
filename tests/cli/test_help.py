"""Help lists what the choices on the command line take, in words that need no source code."""

import re

import pytest

from taut.architectures import ARCHITECTURES
from taut.bounds import BOUNDS
from taut.cli.main import COMMANDS, main
from taut.inference import INFERENCES, AbstractExact
from taut.models.likelihoods import LIKELIHOODS
from taut.recipe import options

JARGON = (
    r"\b(mint|slot|Dirac|surrogate|fibre|pytree|afresh|AbstractPrior|NumPyro distribution|Optax)\b"
)


@pytest.fixture
def page(capsys, monkeypatch):
    """The help page of a command, and the options that it lists."""
    monkeypatch.setenv("COLUMNS", "300")

    def read(*arguments):
        assert main([*arguments, "--help"]) == 0
        out = capsys.readouterr().out
        return out, {f[2:].replace("-", "_") for f in re.findall(r"^│ \*?\s*(--[\w-]+)", out, re.M)}

    return read


def owned(table, choice):
    return {name for name, o in options().items() if o.table == table and choice in o.owners}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_lists_its_own_options_and_no_others(page, name):
    _, listed = page("fit", "--model", name)
    inference = ARCHITECTURES[name].default_inference
    exact = issubclass(INFERENCES[inference], AbstractExact)
    of = {
        t: {n for n, o in options().items() if o.table == t}
        for t in ("model", "inference", "likelihood")
    }
    assert listed & of["model"] == owned("model", name)
    assert listed & of["inference"] == owned("inference", inference)
    assert bool(listed & of["likelihood"]) == ("likelihood" in owned("model", name))
    assert ("epochs" in listed) == ("bound" in listed) == (not exact)
    assert ("gradient" in listed) == INFERENCES[inference].takes_gradient


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_lists_its_own_options(page, name):
    of_bounds = {n for n, o in options().items() if o.table == "bound"}
    assert page("fit", "--bound", name)[1] & of_bounds == owned("bound", name)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_likelihood_lists_its_own_options(page, name):
    of_likelihoods = {n for n, o in options().items() if o.table == "likelihood"}
    assert page("fit", "--likelihood", name)[1] & of_likelihoods == owned("likelihood", name)


def test_an_option_that_two_models_have_shows_the_default_of_the_chosen_one(page):
    assert re.search(
        r"--components .*classes.*default: 10", page("fit", "--model", "mixture-vae")[0]
    )
    assert re.search(r"--components .*Gaussians.*default: 4", page("fit", "--model", "gmm")[0])


@pytest.mark.parametrize("command", COMMANDS)
def test_pages_have_no_jargon_and_say_what_happens_by_default(page, command):
    out, listed = page(command)
    assert not re.search(JARGON, out)
    assert "None" not in out
    assert "default: False" not in out
    assert "json" in listed
