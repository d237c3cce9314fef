"""The loop: which steps are taken does not depend on how they are cut into dispatches."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from taut.architectures import VAE
from taut.bounds import ELBO
from taut.core import Datum, Estimate, RunError
from taut.data import Schema, batch_indices
from taut.gradients import AbstractEstimator, Reparameterized, Surrogate
from taut.inference.amortized import joint
from taut.training import Loop, Plateau, Recorder, train
from taut.training import feeds as feeds_module

ROWS = Datum(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32))
SCHEMA = Schema(name="noise", kind="table", shape=(3,), support="real")
ARCHITECTURE = VAE(latent_dim=2, hidden=(4,), likelihood="gaussian")


def _algorithm(learning_rate=1e-2, gradient=None, key=1):
    return joint(
        ARCHITECTURE.init(SCHEMA, jax.random.key(0)),
        ELBO(),
        gradient or Reparameterized(),
        optax.adam(learning_rate),
        example=jax.tree.map(lambda leaf: leaf[0], ROWS),
        key=jax.random.key(key),
    )


def _loop(num_steps=30, **options):
    return Loop(num_steps=num_steps, batch_size=8, seed=5, **{"validate_every": 10, **options})


# In float64 a sum of some ten terms of order one rounds by about 1e-15, which Adam multiplies by at most
# its step over its epsilon, 1e6, in each of 30 steps. Another step is another 1e-2.
ROUNDING = 1e-7


def _leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def test_any_cut_into_dispatches_gives_the_same_bits(monkeypatch):
    whole = train(_algorithm(), ROWS, _loop())
    monkeypatch.setattr(feeds_module, "MOST_STEPS", 3)
    cut = train(_algorithm(), ROWS, _loop(validate_every=7))
    parameters = (whole.inference.parameters, cut.inference.parameters)
    for a, b in zip(*map(_leaves, parameters), strict=True):
        assert a.tobytes() == b.tobytes()
    other = train(_algorithm(key=2), ROWS, _loop())
    assert any(
        a.tobytes() != b.tobytes()
        for a, b in zip(
            _leaves(whole.inference.parameters), _leaves(other.inference.parameters), strict=True
        )
    )


def test_going_on_from_a_state_is_as_never_stopped():
    algorithm = _algorithm()
    first = train(algorithm, ROWS, _loop(num_steps=13))
    resumed = train(algorithm, ROWS, _loop(), state=first)
    straight = train(_algorithm(), ROWS, _loop())
    moved = (resumed.inference._replace(key=None), straight.inference._replace(key=None))
    for a, b in zip(*map(_leaves, moved), strict=True):
        assert a.tobytes() == b.tobytes()


def test_matches_steps_taken_one_by_one_outside_the_loop(float64):
    algorithm = _algorithm()
    inside = train(algorithm, ROWS, _loop(num_steps=6))
    state = algorithm.init()
    step = jax.jit(algorithm.step)
    for order in batch_indices(5, 0, 6, 40, 8):
        state, _ = step(state, jax.tree.map(lambda leaf, o=order: leaf[o], ROWS))
    for a, b in zip(_leaves(inside.inference.parameters), _leaves(state.parameters), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDING)


def test_records_each_step_once_and_validates_at_fixed_steps():
    steps, looked = [], []

    def record(first, metrics, validation):
        steps.extend(range(first, first + len(metrics["bound"])))
        if validation is not None:
            looked.append(steps[-1] + 1)

    train(
        _algorithm(),
        ROWS,
        _loop(num_steps=25),
        validate=lambda pair: Estimate.from_rows([0.0], side="lower"),
        recorder=Recorder(record),
    )
    assert steps == list(range(25))
    assert looked == [10, 20, 25]


def test_keeps_the_best_parameters_and_stops_when_they_grow_stale():
    values = iter([-3.0, -1.0, -2.0, -2.5, 0.0])
    seen = []

    def validate(pair):
        seen.append(_leaves(pair))
        return Estimate.from_rows([next(values)], side="lower")

    state = train(_algorithm(), ROWS, _loop(num_steps=100, patience=2), validate=validate)
    assert int(state.step) == 40
    assert int(state.best_step) == 20
    for kept, best in zip(_leaves(state.best), seen[1], strict=True):
        assert kept.tobytes() == best.tobytes()


def test_a_bound_that_is_not_finite_stops_the_run_and_names_the_step():
    with pytest.raises(RunError) as failure:
        train(_algorithm(learning_rate=1e30), ROWS, _loop())
    expected = r"training: expected a finite bound.*from step \d+ on \(row \d+: .* Try a smaller"
    assert re.match(expected, str(failure.value))


def _with_an_outlier(row):
    x = np.array(ROWS.x)
    x[row] = 1e30  # its square overflows
    return Datum(x, index=np.arange(100, 140))


def test_a_rare_bad_step_is_rejected_and_leaves_no_trace(float64):
    seen = {}

    def record(first, metrics, validation):
        seen.update(enumerate(metrics["bound"], first))

    rows = _with_an_outlier(17)
    state = train(_algorithm(), rows, _loop(), recorder=Recorder(record))
    bad = [t for t, order in enumerate(batch_indices(5, 0, 30, 40, 8)) if 17 in order]
    assert [t for t, bound in seen.items() if np.isnan(bound)] == bad
    assert len(bad) == 6

    algorithm = _algorithm()
    inference = algorithm.init()
    step = jax.jit(algorithm.step)
    for t, order in enumerate(batch_indices(5, 0, 30, 40, 8)):
        if t in bad:
            inference = inference._replace(step=inference.step + 1)
        else:
            inference, _ = step(inference, Datum(ROWS.x[order], index=100 + order))
    for a, b in zip(
        _leaves(state.inference.parameters), _leaves(inference.parameters), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("most_steps", [512, 4])
def test_bad_steps_that_persist_name_row_and_term(most_steps, monkeypatch):
    monkeypatch.setattr(feeds_module, "MOST_STEPS", most_steps)
    x = np.where(np.arange(40)[:, None] == 17, 1e30, ROWS.x).astype(np.float32)
    with pytest.raises(RunError, match=r"none from step 0 on \(row 117: -log_q is inf\)"):
        train(
            _algorithm(),
            Datum(x, index=np.arange(100, 140)),
            _loop()._replace(batch_size=40),
        )


def test_a_plateau_makes_steps_smaller():
    values = iter([0.0, *[-1.0] * 9])
    loop = _loop(num_steps=100, plateau=Plateau(patience=3, factor=0.5, least=0.2))
    state = train(
        _algorithm(),
        ROWS,
        loop,
        validate=lambda _: Estimate.from_rows([next(values)], side="lower"),
    )
    assert float(state.scale) == 0.2  # 1, 0.5, 0.25, and the least
    assert float(state.inference.scale) == pytest.approx(0.2, rel=1e-6)


class Counting(AbstractEstimator):
    """The reparameterized gradient, with a state that counts, averages and follows a gradient."""

    name = "counting"
    claims = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        out = Reparameterized()(bound, model, guide, datum, key, step=step)
        loss = (aux["level"] - 3.0) ** 2
        return Surrogate(out.value, out.surrogate, loss, {"x": datum.x})

    def init(self, key, example, guide=None):
        return {
            "level": jnp.zeros(()),
            "steps": jnp.zeros((), jnp.int32),
            "x": jnp.zeros_like(example.x),
        }

    def update(self, aux, gradients, statistics, step):
        level = aux["level"] - 0.1 * gradients["level"]
        return {"level": level, "steps": aux["steps"] + 1, "x": statistics["x"]}


def test_an_estimator_may_carry_a_state_of_its_own(float64):
    state = train(_algorithm(gradient=Counting()), ROWS, _loop(num_steps=3, validate_every=3))
    aux = state.inference.aux
    assert int(aux["steps"]) == 3
    level = 0.0
    for _ in range(3):
        level -= 0.1 * 2 * (level - 3.0)
    assert float(aux["level"]) == pytest.approx(level, rel=1e-12)
    last = batch_indices(5, 2, 1, 40, 8)[0]
    # Sums of eight in float32, each in an order of its own.
    rounding = 2 * 8 * 2.0**-24 * np.abs(ROWS.x[last]).mean(axis=0)
    assert np.all(np.abs(aux["x"] - ROWS.x[last].mean(axis=0)) <= rounding)
    plain = train(_algorithm(), ROWS, _loop(num_steps=3, validate_every=3))
    for a, b in zip(
        _leaves(state.inference.parameters), _leaves(plain.inference.parameters), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDING)
