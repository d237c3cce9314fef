"""Registry x law: what a step of every amortized inference claims, scales, rejects and names."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from inference_problems import AMORTIZED, VARIANTS, algorithm_and_rows, problem

from taut.core import Datum, InputError
from taut.inference import (
    AbstractInference,
    Algorithm,
    Inspection,
    Joint,
    PerDatum,
    VariationalEM,
    compiled_steps,
)
from taut.inference.amortized.slots import reach
from taut.training.blame import blame

every_variant = pytest.mark.parametrize("inference", VARIANTS.values(), ids=VARIANTS.keys())
ENUMERATED = {n: i for n, i in VARIANTS.items() if i.claims.guides != "nearest-codes"}
RAISING = {n: i for n, i in VARIANTS.items() if i.claims.raises == "bound"}
ONE_PASS = {n: i for n, i in VARIANTS.items() if not (isinstance(i, PerDatum) and i.row_steps > 1)}
every_enumerated = pytest.mark.parametrize("inference", ENUMERATED.values(), ids=ENUMERATED.keys())


ADAM, SGD = optax.adam(0.01), optax.sgd(0.03)


@functools.cache
def shared(
    inference: Any, optimizer: optax.GradientTransformation, breaking: int | None = None
) -> tuple[Algorithm, Datum]:
    """One algorithm for all tests that plant nothing in it: its step is traced and compiled once."""
    return algorithm_and_rows(inference, optimizer, breaking=breaking)


# --- what is claimed of the steps ---------------------------------------------------------------


def stepped(algorithm: Algorithm, state: Any, rows: Datum) -> Any:
    return jax.jit(algorithm.step)(state, rows)[0]


def bytes_of(tree: Any) -> list[bytes]:
    leaves = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(tree)
        if isinstance(x, jax.Array | np.ndarray)
    ]
    return [np.asarray(leaf).tobytes() for leaf in leaves]


def sides_that_move(algorithm: Algorithm, rows: Datum, num_steps: int) -> list[tuple[bool, bool]]:
    """Of each step, whether a bit of the model, and one of the guide, has changed."""
    state = algorithm.init()
    reached, moves = reach(algorithm.pair(state)), []
    step = jax.jit(algorithm.step)
    for _ in range(num_steps):
        before, (state, _) = algorithm.pair(state), step(state, rows)
        before, after = (
            eqx.filter(p, eqx.is_inexact_array) for p in (before, algorithm.pair(state))
        )
        sides = [[bytes_of(eqx.filter(p, mask)) for p in (before, after)] for mask in reached]
        moves.append((sides[0][0] != sides[0][1], sides[1][0] != sides[1][1]))
    return moves


def keeps_the_claim_of_who_moves(algorithm: Algorithm, rows: Datum, *, alternates: bool) -> None:
    moves = sides_that_move(algorithm, rows, 6)
    assert all(any(move) for move in moves)
    assert all(sum(move) == 1 for move in moves) == alternates
    for side in zip(*moves, strict=True):
        assert any(side)


@every_variant
def test_one_side_rests_where_that_is_claimed_and_else_both_move(inference, float64):
    algorithm, rows = shared(inference, ADAM)
    keeps_the_claim_of_who_moves(algorithm, rows, alternates=inference.claims.alternates)


def test_wrong_claims_of_who_moves_are_caught(float64):
    for inference in (Joint(), VariationalEM()):
        algorithm, rows = shared(inference, ADAM)
        with pytest.raises(AssertionError):
            keeps_the_claim_of_who_moves(
                algorithm, rows, alternates=not inference.claims.alternates
            )


def only_rises(algorithm: Algorithm, rows: Datum) -> None:
    """Small steps of plain ascent with exact gradients: the reported bound rises at each."""
    step, state, values = jax.jit(algorithm.step), algorithm.init(), []
    for _ in range(12):
        state, metrics = step(state, rows)
        values.append(float(metrics["bound"]))
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("inference", RAISING.values(), ids=RAISING.keys())
def test_what_claims_to_raise_the_bound_raises_it_at_every_small_step(inference, float64):
    if isinstance(inference, PerDatum):
        inference = dataclasses.replace(inference, row_learning_rate=0.001)
    algorithm, rows = shared(inference, SGD)
    only_rises(algorithm, rows)


def test_a_step_downhill_is_caught(float64):
    algorithm, rows = algorithm_and_rows(Joint(), optax.sgd(-0.01))
    with pytest.raises(AssertionError):
        only_rises(algorithm, rows)


# --- rescaling ----------------------------------------------------------------------------------


def scaled_part(inference: AbstractInference, pair: Any) -> Any:
    """What a step moves from where the state was: the model of `PerDatum` moves after its table."""
    if isinstance(inference, PerDatum):
        return pair.guide.table
    if inference.claims.guides == "nearest-codes":
        return (pair.encoder, pair.decoder)  # its codes are averages
    return pair


def halves(algorithm: Algorithm, rows: Datum, inference: AbstractInference) -> None:
    assert algorithm.rescale is not None
    state = algorithm.init()
    for _ in range(2):  # an E-step and an M-step, where they alternate
        parts = [
            jax.tree.leaves(
                eqx.filter(scaled_part(inference, algorithm.pair(s)), eqx.is_inexact_array)
            )
            for s in (
                state,
                stepped(algorithm, state, rows),
                stepped(algorithm, algorithm.rescale(state, 0.5), rows),
            )
        ]
        whole = np.concatenate([np.ravel(b - a) for a, b in zip(parts[0], parts[1], strict=True)])
        half = np.concatenate([np.ravel(b - a) for a, b in zip(parts[0], parts[2], strict=True)])
        assert np.abs(whole).max() > 1e-3
        # Differences of numbers of order 1 are exact to their rounding.
        np.testing.assert_allclose(half, whole / 2, atol=8 * np.finfo(float).eps, rtol=0)
        state = stepped(algorithm, state, rows)


@pytest.mark.parametrize("inference", ONE_PASS.values(), ids=ONE_PASS.keys())
def test_rescaling_by_a_half_halves_the_step(inference, float64):
    algorithm, rows = shared(inference, SGD)
    halves(algorithm, rows, inference)


@every_variant
def test_rescaled_to_nothing_no_gradient_moves_a_bit(inference, float64):
    algorithm, rows = shared(inference, SGD)
    assert algorithm.rescale is not None
    still = algorithm.rescale(algorithm.init(), 0.0)
    after = algorithm.pair(stepped(algorithm, still, rows))
    before = algorithm.pair(still)
    if inference.claims.guides == "nearest-codes":
        before, after = (scaled_part(inference, p) for p in (before, after))
    assert bytes_of(before) == bytes_of(after)


@pytest.mark.parametrize("rescale", [lambda s, f: s, lambda s, f: s._replace(scale=s.scale * f**2)])
def test_a_wrong_rescaling_is_caught(rescale, float64):
    algorithm, rows = shared(Joint(), SGD)
    with pytest.raises(AssertionError):
        halves(algorithm._replace(rescale=rescale), rows, Joint())


# --- steps that are not finite ------------------------------------------------------------------

BROKEN = 2  # the outcome of the fourth row alone, whose number is 11


def rejects_and_names(algorithm: Algorithm, rows: Datum) -> None:
    assert algorithm.inspect is not None
    good = jax.tree.map(lambda leaf: leaf[np.array([0, 1, 2, 4])], rows)
    bad = jax.tree.map(lambda leaf: leaf[np.array([0, 1, 3, 4])], rows)
    for state in (algorithm.init(), stepped(algorithm, algorithm.init(), good)):
        after, metrics = jax.jit(algorithm.step)(state, bad)
        assert np.isnan(metrics["bound"])
        assert int(after.step) == int(state.step) + 1
        assert bytes_of(after._replace(step=state.step)) == bytes_of(state)
        found = blame(jax.jit(algorithm.inspect)(state, bad), bad)
        assert found == "row 11: log_likelihood is inf"
        _, metrics = jax.jit(algorithm.step)(state, good)
        assert np.isfinite(metrics["bound"])
        assert blame(jax.jit(algorithm.inspect)(state, good), good) == ""


@every_enumerated
def test_a_row_that_breaks_a_step_is_passed_over_and_named(inference, float64):
    algorithm, rows = shared(inference, ADAM, BROKEN)
    rejects_and_names(algorithm, rows)


def test_a_codebook_passes_over_a_row_that_breaks_a_step(float64):
    """Its bits have no infinite likelihood: the row holds what is no number."""
    inference = AMORTIZED["codebook-averages"]
    algorithm, rows = shared(inference, ADAM)
    x = np.array(rows.x)
    x[2, 1] = np.nan
    bad = Datum(x, index=rows.index)
    state = algorithm.init()
    after, metrics = jax.jit(algorithm.step)(state, bad)
    assert np.isnan(metrics["bound"])
    inner = after.inner._replace(step=state.inner.step)
    assert bytes_of(after._replace(inner=inner)) == bytes_of(state)
    assert algorithm.inspect is not None
    assert blame(jax.jit(algorithm.inspect)(state, bad), bad).startswith("row 2: log_likelihood")


def test_a_step_that_is_not_rejected_is_caught(monkeypatch, float64):
    monkeypatch.setattr(
        "taut.inference.amortized.ascent_steps.all_finite",
        lambda value, gradients: jnp.asarray(True),
    )
    algorithm, rows = algorithm_and_rows(Joint(), optax.adam(0.01), breaking=BROKEN)
    with pytest.raises(AssertionError):
        rejects_and_names(algorithm, rows)


def test_a_wrong_name_of_the_row_or_the_term_is_caught(float64):
    algorithm, rows = shared(Joint(), ADAM, BROKEN)
    inspect = algorithm.inspect
    assert inspect is not None

    def other_row(state: Any, batch: Datum) -> Inspection:
        return jax.tree.map(lambda leaf: leaf[::-1], inspect(state, batch))

    def other_term(state: Any, batch: Datum) -> Inspection:
        found = inspect(state, batch)
        return found._replace(terms={f"-{name}": term for name, term in found.terms.items()})

    for planted in (other_row, other_term):
        with pytest.raises(AssertionError):
            rejects_and_names(algorithm._replace(inspect=planted), rows)


# --- dispatches ---------------------------------------------------------------------------------


def same_however_it_is_cut(algorithm: Algorithm, rows: Datum, dispatch: Any) -> None:
    """Twelve steps on batches of four, in dispatches of other lengths."""
    order = np.random.default_rng(0).integers(0, len(rows.x), (12, 4)).astype(np.int32)
    ends = []
    for cut in ([12], [5, 7], [1, 1, 10]):
        state, log, first = algorithm.init(), [], 0
        for count in cut:
            padded = np.concatenate(
                [order[first : first + count], np.zeros((12 - count, 4), np.int32)]
            )
            state, metrics = dispatch(state, rows, padded, count)
            log.append(np.asarray(metrics["bound"])[:count])
            first += count
        ends.append((bytes_of(state), np.concatenate(log).tobytes()))
    assert ends[0] == ends[1] == ends[2]


@every_variant
def test_steps_in_any_number_of_dispatches_are_the_same_bytes(inference, float64):
    algorithm, rows = shared(inference, ADAM)
    rows = jax.tree.map(jnp.asarray, rows)
    same_however_it_is_cut(algorithm, rows, compiled_steps(algorithm))


def test_a_dispatch_that_leaves_a_trace_is_caught(float64):
    algorithm, rows = shared(Joint(), ADAM)
    rows, steps = jax.tree.map(jnp.asarray, rows), compiled_steps(algorithm)

    def slower(state: Any, *arguments: Any) -> Any:
        return steps(state._replace(scale=0.5 * state.scale), *arguments)

    with pytest.raises(AssertionError):
        same_however_it_is_cut(algorithm, rows, slower)


# --- rows that were not trained on --------------------------------------------------------------

UNSEEN = Datum(jnp.array([2, 0, 1]), index=jnp.array([90, 8, 31], jnp.int32))


@every_enumerated
def test_a_guide_serves_unseen_rows_or_is_fitted_to_them_under_the_same_model(inference, float64):
    made, _ = problem(inference, ADAM)
    algorithm, rows = shared(inference, ADAM)
    pair = algorithm.pair(stepped(algorithm, algorithm.init(), rows))
    row = jax.tree.map(lambda leaf: leaf[0], UNSEEN)
    arguments = (pair, UNSEEN, made.bound, made.gradient)
    if inference.claims.serves_unseen:
        assert inference.fitted_to(*arguments, jax.random.key(0)) is pair
        assert np.isfinite(pair.bind()[1](row).log_q).all()
        return
    with pytest.raises(InputError, match="got row 90"):
        pair.bind()[1](row)
    fitted = inference.fitted_to(*arguments, jax.random.key(0))
    assert bytes_of(fitted.bind()[0]) == bytes_of(pair.bind()[0])
    again = inference.fitted_to(*arguments, jax.random.key(0))
    assert bytes_of(again) == bytes_of(fitted)
    log_joint = pair.bind()[0].log_joint_table()
    known = log_joint - np.log(np.exp(log_joint).sum(axis=0))
    for i in range(3):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], UNSEEN)
        np.testing.assert_allclose(fitted.bind()[1](one).log_q, known[:, UNSEEN.x[i]], atol=1e-3)


def arrays_of(pair: Any) -> list[tuple[str, tuple[int, ...], Any]]:
    """Where each array of a pair is, with its shape and type."""
    return [
        (jax.tree_util.keystr(path), leaf.shape, leaf.dtype)
        for path, leaf in jax.tree_util.tree_leaves_with_path(pair)
        if hasattr(leaf, "shape")
    ]


@every_enumerated
def test_the_pair_of_a_saved_run_is_known_from_shapes(inference, float64):
    """As loading needs it: nothing is computed, and every array of the fitted pair has its place."""
    algorithm, rows = shared(inference, ADAM)
    fitted = algorithm.pair(stepped(algorithm, algorithm.init(), rows))
    of_architecture = problem(Joint(), ADAM)[0].pair
    # The numbers are in the file; any as many stand for them.
    numbers = jnp.arange(6, dtype=jnp.int32)
    shapes = eqx.filter_eval_shape(inference.pair, of_architecture, numbers, jax.random.key(1))
    assert arrays_of(shapes) == arrays_of(fitted)
