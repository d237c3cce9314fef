"""Variational EM: what moves at each step, when, and where it ends."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from known_models import TableModel
from nodes import (
    EncoderGuide,
    EnumeratedFamily,
    LogitsOf,
    NodesFamily,
    mean_evidence,
    run,
    tabled_data,
    unfitted_ppca,
)
from scipy.integrate import quad
from scipy.stats import norm

from taut.bounds import ELBO
from taut.core import AbstractPair, Datum, InputError, Pair
from taut.gradients import AbstractEstimator, Reparameterized, Surrogate
from taut.guides import (
    AmortizedGuide,
    FullRankGaussian,
    LinearEncoder,
    MeanFieldGaussian,
    linear_guide,
)
from taut.inference.amortized import Aggressive, Alternate, joint, variational_em
from taut.inference.amortized.aggressive import mutual_information
from taut.inference.amortized.alternation import BOTH, E_STEP, M_STEP
from taut.inference.amortized.slots import reach
from taut.models import ProbabilisticPCA
from taut.training import Loop, Recorder, train

OUTCOMES = Datum(np.array([0, 1, 1, 2, 0, 1]), index=np.arange(6, dtype=np.int32))


def ascent(pair, rows, **options):
    """Variational EM with exact gradients and steps that shrink."""
    optimizer = optax.adam(optax.exponential_decay(0.1, 200, 0.7))
    return variational_em(
        pair,
        ELBO(kl="sampled"),
        Reparameterized(),
        optimizer,
        optimizer,
        example=jax.tree.map(lambda leaf: leaf[0], rows),
        key=jax.random.key(0),
        **options,
    )


def linear_pair(latent_dim, family):
    model_key, guide_key = jax.random.split(jax.random.key(2))
    start = linear_guide(4, family, key=guide_key)
    return Pair(
        unfitted_ppca(4, latent_dim, key=model_key),
        EncoderGuide(start.encoder, NodesFamily(family)),
    )


@pytest.mark.parametrize(
    ("family", "e_steps"), [(FullRankGaussian(2), 1), (MeanFieldGaussian(1), 3)]
)
def test_reaches_the_closed_optimum_of_a_linear_gaussian(family, e_steps, float64):
    """Tolerance 1e-6 nat a row; the bound and the evidence meet there."""
    rows = tabled_data()
    algorithm = ascent(linear_pair(family.latent_dim, family), rows, alternation=Alternate(e_steps))
    state, metrics = run(algorithm, rows, 3000)
    best = ProbabilisticPCA.maximum_likelihood(rows.x, family.latent_dim)
    known = mean_evidence(best, rows)
    assert known - 1e-6 < mean_evidence(algorithm.pair(state).model, rows) <= known + 1e-12
    assert known - 1e-6 < float(metrics["bound"]) <= known + 1e-12


@pytest.mark.parametrize("num_latents", [2, 4])
def test_reaches_the_empirical_entropy_where_z_is_enumerated(num_latents, float64):
    """p(x) can be any table, so the best mean evidence is minus the entropy of the rows."""
    rng = np.random.default_rng(0)
    model = TableModel(
        jnp.asarray(rng.normal(size=num_latents)), jnp.asarray(rng.normal(size=(num_latents, 3)))
    )
    guide = EncoderGuide(
        LogitsOf(jnp.asarray(rng.normal(size=(3, num_latents)))), EnumeratedFamily(num_latents)
    )
    algorithm = ascent(Pair(model, guide), OUTCOMES, alternation=Alternate(2, 1))
    _, metrics = run(algorithm, OUTCOMES, 3000)
    shares = np.array([2, 3, 1]) / 6
    assert float(metrics["bound"]) == pytest.approx((shares * np.log(shares)).sum(), abs=1e-6)


def changed(before, after) -> dict[str, bool]:
    pairs = zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True)
    return {
        jax.tree_util.keystr(path): np.asarray(a).tobytes() != np.asarray(b).tobytes()
        for (path, a), b in pairs
    }


def test_each_step_moves_its_own_side_and_no_bit_of_the_other(float64):
    rows = tabled_data(num_rows=6)
    algorithm = ascent(linear_pair(2, MeanFieldGaussian(2)), rows, alternation=Alternate(2, 3))
    step, state = jax.jit(algorithm.step), algorithm.init()
    phases = []
    for _ in range(10):
        moved, metrics = step(state, rows)
        phases.append(int(metrics["phase"]))
        parts = changed(state.parameters, moved.parameters)
        for name, differs in parts.items():
            assert differs == (name.startswith(".guide") == (phases[-1] == E_STEP)), name
        optimizers = state.optimizers
        after = moved.optimizers
        for side, old, new in zip((E_STEP, M_STEP), optimizers, after, strict=True):
            assert any(changed(old, new).values()) == (phases[-1] == side)
        state = moved
    assert phases == [0, 0, 1, 1, 1, 0, 0, 1, 1, 1]
    assert int(state.step) == 10


class Shared(AbstractPair):
    """The encoder reads x through the decoder's own weight; `scale` belongs to nobody."""

    weight: Any
    shift: Any
    spread: Any
    scale: Any

    def bind(self):
        model = ProbabilisticPCA(
            center=self.shift, loadings=self.weight, log_variance=jnp.zeros(())
        )
        encoder = LinearEncoder(0.5 * self.weight.T, jnp.zeros(2), self.spread)
        return model, AmortizedGuide(encoder, MeanFieldGaussian(2))


def shared_pair():
    return Shared(jnp.ones((4, 2)), jnp.zeros(4), jnp.zeros(2), jnp.ones(()))


def test_a_parameter_belongs_to_every_side_that_it_reaches(float64):
    found = reach(shared_pair())
    assert jax.tree.leaves(found.model) == [True, True, False, False]
    assert jax.tree.leaves(found.guide) == [True, False, True, False]


def test_a_shared_parameter_moves_with_both_sides_by_slot(float64):
    """The E-step's gradient of a shared weight is that of the bound with the model held fixed."""
    rows = tabled_data(num_rows=5)
    algorithm = variational_em(
        shared_pair(),
        ELBO(),
        Reparameterized(),
        optax.sgd(1.0),
        optax.sgd(1.0),
        example=Datum(rows.x[0]),
        key=jax.random.key(0),
    )
    step, start = jax.jit(algorithm.step), algorithm.init()
    after_e, _ = step(start, rows)
    pair = algorithm.pair(start)

    def objective(model_weight, guide_weight, spread, step):
        def side(weight):
            held = eqx.tree_at(lambda p: p.spread, pair, spread)
            return eqx.tree_at(lambda p: p.weight, held, weight).bind()

        model, guide = side(model_weight)[0], side(guide_weight)[1]
        keys = jax.random.split(jax.random.fold_in(start.key, step), 5)
        out = jax.vmap(lambda d, k: Reparameterized()(ELBO(), model, guide, d, k))(rows, keys)
        return out.value.mean()

    slope = jax.jit(jax.grad(objective, argnums=(0, 1)))
    by_model, by_guide = slope(pair.weight, pair.weight, pair.spread, 0)
    np.testing.assert_allclose(after_e.parameters.weight - pair.weight, by_guide, rtol=1e-9)
    assert float(jnp.abs(by_model - by_guide).max()) > 0.1
    after_m, _ = step(after_e, rows)
    moved = algorithm.pair(after_e)
    by_model, _ = slope(moved.weight, moved.weight, moved.spread, 1)
    np.testing.assert_allclose(after_m.parameters.weight - moved.weight, by_model, rtol=1e-9)
    assert float(after_m.parameters.scale) == 1.0


class Counting(AbstractEstimator):
    """Reparameterized, with a state that counts its updates and learns a level."""

    name = "counting"
    claims = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        out = Reparameterized()(bound, model, guide, datum, key, step=step)
        return Surrogate(out.value, out.surrogate, (aux["level"] - 3.0) ** 2, {"x": datum.x})

    def init(self, key, example, guide=None):
        return {"level": jnp.zeros(()), "x": jnp.zeros_like(example.x)}

    def update(self, aux, gradients, statistics, step):
        return {"level": aux["level"] - 0.1 * gradients["level"], "x": statistics["x"]}


def test_an_estimator_may_carry_a_state_and_rows_a_weight(float64):
    rows = tabled_data(num_rows=4)
    weight = np.array([0.0, 2.0, 1.0, 1.0])
    weighted = Datum(rows.x, index=rows.index, weight=weight)
    algorithm = variational_em(
        linear_pair(2, MeanFieldGaussian(2)), ELBO(kl="sampled"), Counting(),
        optax.sgd(0.1), optax.sgd(0.1), example=Datum(jnp.asarray(rows.x[0])),
        key=jax.random.key(0),
    )  # fmt: skip
    step = jax.jit(algorithm.step)
    state, metrics = step(algorithm.init(), weighted)
    assert float(state.aux["level"]) == pytest.approx(0.6)
    np.testing.assert_allclose(state.aux["x"], rows.x.mean(axis=0))
    twice = Datum(rows.x[[1, 1, 2, 3]], index=rows.index, weight=np.ones(4))
    _, doubled = step(algorithm.init(), twice)
    assert float(metrics["bound"]) == pytest.approx(float(doubled["bound"]), rel=1e-12)


def test_data_may_be_redrawn_each_time(float64):
    """Each row is replaced by noise of its own key, which no estimator shares: two steps differ."""
    rows = tabled_data(num_rows=4)
    seen = []
    algorithm = ascent(
        linear_pair(2, MeanFieldGaussian(2)),
        rows,
        prepare=lambda datum, key: Datum(datum.x + jax.random.normal(key, (4,))),
    )
    step, start = jax.jit(algorithm.step), algorithm.init()
    for number in (0, 1, 1):
        _, metrics = step(start._replace(step=jnp.int32(number)), rows)
        seen.append(float(metrics["bound"]))
    assert seen[0] != seen[1]
    assert seen[1] == seen[2]


def test_a_side_without_parameters_is_refused():
    rows = tabled_data(num_rows=4)
    pair = linear_pair(1, FullRankGaussian(1))
    fixed = eqx.tree_at(lambda p: p.guide, pair, EncoderGuide(lambda x: x[:2], FullRankGaussian(1)))
    with pytest.raises(
        InputError, match=r"expected a guide with parameters.*Try `taut.inference.amortized.joint"
    ):
        ascent(fixed, rows)


@pytest.mark.parametrize(("e_steps", "m_steps"), [(0, 1), (1, 0)])
def test_phases_of_no_steps_are_refused(e_steps, m_steps):
    with pytest.raises(
        InputError, match=r"[em]_steps: expected a whole number of at least 1, got 0"
    ):
        Alternate(e_steps, m_steps)


# --- the aggressive schedule --------------------------------------------------------------------


def by_hand(bounds, informations, window, most, look_every):
    """The same schedule as a plain loop with break and continue: the phase of every step."""
    bounds, informations = iter(bounds), iter(informations)
    phases, information, m_steps = [], -np.inf, 0
    while True:
        recent, means = [], []
        while True:
            try:
                recent.append(next(bounds))
            except StopIteration:
                return phases
            phases.append(E_STEP)
            if len(recent) % window == 0:
                means.append(np.mean(recent[-window:]))
                if len(means) > 1 and means[-1] <= means[-2]:
                    break
            if len(recent) >= most:
                break
        if next(bounds, None) is None:
            return phases
        phases.append(M_STEP)
        m_steps += 1
        if m_steps % look_every == 0:
            previous, information = information, next(informations)
            if information <= previous:
                return phases + [BOTH for _ in bounds]


def test_the_aggressive_schedule_is_the_plain_loop(monkeypatch, float64):
    rng = np.random.default_rng(1)
    bounds = np.concatenate([np.linspace(0, 5, 25), rng.normal(size=175)])
    seen = jnp.array([0.3, 0.8, 0.9, 0.2, 0.1])
    monkeypatch.setattr(
        "taut.inference.amortized.aggressive.mutual_information",
        lambda guide, rows, key, prepare: seen[guide],
    )
    schedule = Aggressive(Datum(np.zeros((2, 1))), window=3, most_e_steps=17, look_every=4)

    @jax.jit
    def one(state, looks, bound):
        phase = schedule.phase(state)
        moved = schedule.advance(state, bound, looks)
        looked = (phase == M_STEP) & (moved.m_steps == 0)
        return moved, looks + looked, phase

    state, looks, phases = schedule.init(), jnp.int32(0), []
    for bound in bounds:
        state, looks, phase = one(state, looks, bound)
        phases.append(int(phase))
    assert phases == by_hand(bounds, np.asarray(seen), 3, 17, 4)
    assert set(phases) == {E_STEP, M_STEP, BOTH}
    assert phases[:18] == [E_STEP] * 17 + [M_STEP]  # while it rises, up to the limit
    assert int(looks) == 4  # 0.2 is the first that has not grown


def test_mutual_information_lies_between_its_limits_and_agrees_with_quadrature(float64):
    def information(distance, num_rows=64):
        rows = Datum(jnp.asarray([[0.0], [distance]] * (num_rows // 2)))
        encoder = LinearEncoder(jnp.ones((1, 1)), jnp.zeros(1), jnp.zeros(1))
        guide = AmortizedGuide(encoder, MeanFieldGaussian(1))
        keys = jax.random.split(jax.random.key(0), 200)
        return np.asarray(jax.jit(jax.vmap(lambda k: mutual_information(guide, rows, key=k)))(keys))

    assert np.abs(information(0.0)).max() < 1e-12
    np.testing.assert_allclose(information(60.0), np.log(2.0), rtol=1e-12)

    def integrand(z):
        mixture = 0.5 * (norm.pdf(z) + norm.pdf(z, 1.5))
        return norm.pdf(z) * (norm.logpdf(z) - np.log(mixture))

    known = quad(integrand, -12, 12, epsabs=1e-12)[0]  # both rows give the same by symmetry
    found = information(1.5)
    error = found.std(ddof=1) / np.sqrt(found.size)
    assert abs(found.mean() - known) < 5 * error
    assert abs(found.mean() - 1.1 * known) > 5 * error


def test_aggressive_training_reaches_the_same_optimum(float64):
    rows = tabled_data()
    probe = Datum(rows.x[:16])
    family = MeanFieldGaussian(1)
    start = linear_pair(1, family)
    plain = Pair(start.model, AmortizedGuide(start.guide.encoder, family))
    algorithm = variational_em(
        plain, ELBO(num_draws=16), Reparameterized(),
        optax.adam(0.02), optax.adam(0.02), example=Datum(rows.x[0]), key=jax.random.key(0),
        alternation=Aggressive(probe, window=5, most_e_steps=40, look_every=10),
    )  # fmt: skip
    phases = []
    state = train(
        algorithm,
        rows,
        Loop(num_steps=2000, batch_size=15, seed=0, validate_every=2000),
        recorder=Recorder(lambda _, metrics, __: phases.extend(metrics["phase"].tolist())),
    )
    known = mean_evidence(ProbabilisticPCA.maximum_likelihood(rows.x, 1), rows)
    reached = mean_evidence(algorithm.pair(state.inference).model, rows)
    assert known - 0.02 < reached <= known
    # E-steps first and most of the time, M-steps in between, both together to the end.
    last = int(np.flatnonzero(np.diff(np.array(phases) == BOTH))[0]) + 1
    assert set(phases[:last]) == {E_STEP, M_STEP}
    assert phases[last:] == [BOTH] * (2000 - last)
    assert np.mean(np.array(phases[:last]) == E_STEP) > 0.8


def test_aggressive_options_are_checked(float64):
    with pytest.raises(InputError, match=r"probe: expected at least two rows.*got 1.*Try"):
        Aggressive(Datum(np.zeros((1, 2))))
    with pytest.raises(InputError, match=r"window: expected a whole number of at least 1, got 0"):
        Aggressive(Datum(np.zeros((2, 2))), window=0)
    guide = EncoderGuide(LogitsOf(jnp.zeros((3, 2))), EnumeratedFamily(2))
    with pytest.raises(
        InputError, match=r"mutual_information: expected a guide that draws z from a"
    ):
        mutual_information(guide, OUTCOMES, key=jax.random.key(0))


def test_one_step_of_each_is_a_step_of_both_for_separate_sides(float64):
    """Plain ascent from one point: BOTH moves each side as its own step would; joint ascent agrees."""
    rows = tabled_data(num_rows=7)
    pair = linear_pair(2, MeanFieldGaussian(2))
    options = {"example": Datum(rows.x[0]), "key": jax.random.key(0)}
    parts = (pair, ELBO(kl="sampled"), Reparameterized())
    schedule = Aggressive(Datum(rows.x))
    algorithm = variational_em(
        *parts, optax.sgd(0.01), optax.sgd(0.01), alternation=schedule, **options
    )
    state = algorithm.init()
    released = state.schedule._replace(aggressive=jnp.zeros((), bool))
    both, metrics = jax.jit(algorithm.step)(state._replace(schedule=released), rows)
    assert int(metrics["phase"]) == BOTH
    together = joint(*parts, optax.sgd(0.01), **options)
    moved, _ = jax.jit(together.step)(together.init(), rows)
    for a, b in zip(*map(jax.tree.leaves, (both.parameters, moved.parameters)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
