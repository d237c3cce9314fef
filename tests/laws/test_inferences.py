"""Registry x law: options of every inference, what it serves and refuses, the optimum it reaches."""

import dataclasses
import re
import types
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from inference_problems import (
    EXACT,
    ROWS,
    VARIANTS,
    algorithm_and_rows,
    best,
    problem,
)
from nodes import mean_evidence, run, tabled_data, unfitted_ppca
from registered import concrete_subclasses
from unchecked import types_unchecked

import taut
import taut.inference
from taut.architectures import ARCHITECTURES
from taut.bounds import ELBO, IWAE
from taut.core import Datum, InputError, Pair
from taut.data import load_data
from taut.gradients import ScoreFunction
from taut.inference import (
    EM,
    INFERENCES,
    AbstractInference,
    Algorithm,
    Joint,
    OnlineEM,
    PerDatum,
    SemiAmortized,
    VariationalEM,
    WakeSleep,
)
from taut.models import ProbabilisticPCA

every_inference = pytest.mark.parametrize("cls", INFERENCES.values(), ids=INFERENCES.keys())
every_variant = pytest.mark.parametrize("inference", VARIANTS.values(), ids=VARIANTS.keys())


# --- the registry and the options ---------------------------------------------------------------


def test_every_inference_is_registered_under_its_name():
    assert concrete_subclasses(AbstractInference, taut.inference) == set(INFERENCES.values())
    assert all(cls.name == name for name, cls in INFERENCES.items())


def plain(kind: Any) -> bool:
    """Whether a type is one that an option of the command line can have."""
    if typing.get_origin(kind) is typing.Literal:
        return all(isinstance(value, str) for value in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return all(plain(part) for part in typing.get_args(kind) if part is not Ellipsis)
    if isinstance(kind, types.UnionType):
        return all(plain(part) for part in typing.get_args(kind))
    return kind in (int, float, bool, str, type(None))


@every_inference
def test_options_are_plain_documented_and_frozen(cls):
    hints = typing.get_type_hints(cls)
    for option in dataclasses.fields(cls):
        assert plain(hints[option.name]), option.name
        assert option.default is not dataclasses.MISSING
        owner = next(c for c in cls.__mro__ if option.name in c.__annotations__)
        assert re.search(rf"^ {{4,8}}{option.name}: ", owner.__doc__ or "", re.MULTILINE)
    assert not plain(list[int])
    assert not plain(Datum | None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cls().anything = 1
    assert hash(cls()) == hash(cls())


def test_one_name_has_one_meaning():
    """An option of two inferences comes from what both are."""
    owners: dict[str, set[type]] = {}
    for cls in INFERENCES.values():
        for option in dataclasses.fields(cls):  # type: ignore[arg-type]
            owner = next(c for c in cls.__mro__ if option.name in c.__annotations__)
            owners.setdefault(option.name, set()).add(owner)
    assert all(len(owner) == 1 for owner in owners.values())


BAD: list[tuple[type, str, Any]] = [
    (WakeSleep, "phi", "dream"),
    (VariationalEM, "alternation", "random"),
    (VariationalEM, "e_steps", 0),
    (VariationalEM, "m_steps", 0),
    (VariationalEM, "stall_window", 0),
    (VariationalEM, "most_e_steps", 0),
    (VariationalEM, "information_every", 0),
    (VariationalEM, "information_rows", 1),
    (EM, "candidates", ()),
    (EM, "select", "aic"),
    (SemiAmortized, "refine_steps", 0),
    (SemiAmortized, "refine_learning_rate", 0.0),
    (SemiAmortized, "refine_clip", float("nan")),
    (PerDatum, "row_learning_rate", float("inf")),
    (PerDatum, "row_steps", 0),
    (PerDatum, "unseen_row_steps", 0),
    (EM, "restarts", 0),
    (EM, "tolerance", -1.0),
    (EM, "max_iterations", 0),
    (EM, "floor", -1.0),
    (EM, "reg_covar", -1.0),
    (OnlineEM, "passes", 0.0),
    (OnlineEM, "em_batch_size", 0),
]


@pytest.mark.parametrize(("cls", "option", "value"), BAD)
def test_options_out_of_range_are_refused_by_name(cls, option, value):
    with types_unchecked(), pytest.raises(InputError) as refused:
        cls(**{option: value})
    assert (refused.value.where or "").replace("-", "_") == option
    assert "\n" not in str(refused.value)


def test_every_option_with_a_range_is_tried_out_of_it():
    tried = {option for _, option, _ in BAD}
    free = {"refine_through", "closed_form"}
    assert tried | free == {
        f.name
        for cls in INFERENCES.values()
        for f in dataclasses.fields(cls)  # type: ignore[arg-type]
    }


# --- what goes together -------------------------------------------------------------------------


def architectures() -> dict[str, Any]:
    return {name: cls() for name, cls in ARCHITECTURES.items()}


def test_every_architecture_names_an_inference_that_serves_it():
    for architecture in architectures().values():
        INFERENCES[architecture.default_inference]().check(architecture, None, None)


@every_inference
def test_every_inference_serves_an_architecture_or_says_in_one_line_why_not(cls):
    others = set(ARCHITECTURES) - {"vq"}
    exact = {"gmm", "lca", "mixed", "ppca", "fa"}
    kinds = {"nearest-codes": {"vq"}, "exact": exact, "any": others, "encoder": others}
    for name, architecture in architectures().items():
        if name in kinds[cls.claims.guides]:
            cls().check(architecture, None, None)
            continue
        with pytest.raises(
            InputError, match=rf'expected [^\n]*, got model="{name}"[^\n]*\. Try [^\n]*\.$'
        ):
            cls().check(architecture, None, None)


@every_inference
def test_a_gradient_is_taken_or_refused(cls):
    kinds = {"nearest-codes": taut.VQ(), "exact": taut.GMM()}
    architecture = kinds.get(cls.claims.guides, taut.Discrete())
    if cls.takes_gradient:
        cls().check(architecture, ELBO(), ScoreFunction())
    else:
        with pytest.raises(InputError, match=r"gradient|estimator"):
            cls().check(architecture, None, ScoreFunction())


@pytest.mark.parametrize("name", EXACT)
def test_em_takes_no_bound(name):
    with pytest.raises(InputError, match="no bound, for EM raises the evidence itself, got bound="):
        EXACT[name].check(taut.GMM(), IWAE(), None)


def test_combinations_of_em_are_refused():
    with pytest.raises(InputError, match='closed_form: expected model="ppca"'):
        EM(closed_form=True).check(taut.FA(), None, None)
    EM(closed_form=True).check(taut.PPCA(), None, None)
    with pytest.raises(InputError, match="reg_covar: expected a floor or a constant"):
        OnlineEM(floor=1e-3, reg_covar=1e-3)


@pytest.mark.parametrize("cls", [SemiAmortized, PerDatum])
def test_a_guide_without_a_family_is_refused(cls):
    pair = Pair(unfitted_ppca(3, 1, key=jax.random.key(0)), lambda datum: datum)
    with pytest.raises(InputError, match=r'family, got a function\. Try inference="joint"'):
        cls().pair(pair, jnp.arange(3), jax.random.key(0))


def test_an_aggressive_schedule_needs_training_rows(float64):
    inference = VariationalEM(alternation="aggressive")
    made, _ = problem(inference, optax.sgd(0.1))
    with pytest.raises(InputError, match=r"alternation: expected training rows.*got none"):
        inference.algorithm(made)
    asked = []

    def probe(number: int) -> Datum:
        asked.append(number)
        return ROWS

    inference.algorithm(made._replace(probe=probe))
    assert asked == [64]


# --- the optimum --------------------------------------------------------------------------------


def reaches_the_optimum(algorithm: Algorithm, rows: Datum, known: float, tolerance: float) -> None:
    _, metrics = run(algorithm, rows, 2500)
    value = float(metrics["bound"])
    assert value <= known + 1e-12
    assert value > known - tolerance


def decaying() -> optax.GradientTransformation:
    return optax.adam(optax.exponential_decay(0.1, 200, 0.7))


@every_variant
def test_each_reaches_the_entropy_of_the_rows(inference, float64):
    """1e-5 nat with exact gradients; a Bernoulli of bits comes near its limit with its logits."""
    tolerance = 0.02 if inference.claims.guides == "nearest-codes" else 1e-5
    algorithm, rows = algorithm_and_rows(inference, decaying())
    reaches_the_optimum(algorithm, rows, best(inference), tolerance)


def test_a_side_that_stays_behind_is_caught(float64):
    algorithm, rows = algorithm_and_rows(Joint(), optax.set_to_zero())
    with pytest.raises(AssertionError):
        reaches_the_optimum(algorithm, rows, best(Joint()), 1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_em_reaches_the_closed_optimum_of_factors(name):
    """1e-6 nat a row against eigenvectors; online EM with all rows in a batch stays there."""
    rows = tabled_data(num_rows=60)
    small: dict[str, Any] = {"em_batch_size": 60, "passes": 5.0} if name == "online-em" else {}
    inference = dataclasses.replace(EXACT[name], floor=0.0, **small)
    found = inference.fit(
        taut.PPCA(2), load_data((rows.x, rows.x, rows.x), dtype=np.float64), seed=0
    )
    with jax.enable_x64(True):
        known = mean_evidence(ProbabilisticPCA.maximum_likelihood(rows.x, 2), rows)
    assert known - 1e-6 < found.train <= known + 1e-9
    assert found.validation.side == "exact"
    assert inference.claims.raises == "evidence"
    if inference.claims.monotone:
        gains = np.diff([record["objective"] for record in found.history])
        assert (gains > -1e-9).all()
        assert gains.max() > 0.01
