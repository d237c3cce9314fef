"""Semi-amortized inference: the refinement, its gradient, and what training with it reaches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from nodes import NodesFamily, mean_evidence, run, tabled_data, unfitted_ppca

from taut.bounds import ELBO
from taut.core import Datum, InputError, Pair
from taut.gradients import AbstractEstimator, Reparameterized, Surrogate
from taut.guides import (
    AmortizedGuide,
    FullRankGaussian,
    LinearEncoder,
    MeanFieldGaussian,
    RefinedPair,
    Refinement,
    linear_guide,
)
from taut.guides.refined import encoder_features
from taut.inference.amortized import joint, semi_amortized
from taut.models import ProbabilisticPCA, Units

MODEL_KEY, GUIDE_KEY = 1, 2
SAMPLED = ELBO(kl="sampled")


def pair(refinement, *, exact=True, gaussian=MeanFieldGaussian(2)):  # noqa: B008 - immutable
    start = linear_guide(4, gaussian, key=jax.random.key(GUIDE_KEY))
    amortized = AmortizedGuide(start.encoder, NodesFamily(gaussian)) if exact else start
    model = unfitted_ppca(4, 2, key=jax.random.key(MODEL_KEY))
    return RefinedPair(Pair(model, amortized), refinement)


def refinement(num_steps, **options):
    return Refinement(num_steps, optax.sgd(options.pop("rate", 0.05)), SAMPLED, **options)


def gaps(fitted, rows):
    """KL(q to posterior) of each row, in closed form."""
    model, guide = fitted.bind()

    @jax.jit
    def found(rows):
        return jax.vmap(lambda r: model.log_evidence(r) - model.elbo(r, guide(r).distribution))(
            rows
        )

    return np.asarray(found(rows))


def test_each_step_closes_the_gap_and_many_close_it_for_good(float64):
    rows = tabled_data(num_rows=5)
    by_steps = np.stack(
        [gaps(pair(refinement(n), gaussian=FullRankGaussian(2)), rows) for n in (0, 1, 600)]
    )
    assert (np.diff(by_steps, axis=0) < 0).all()
    assert by_steps[0].min() > 0.1
    assert np.abs(by_steps[-1]).max() < 1e-8


def test_no_step_is_the_encoder(float64):
    rows = tabled_data(num_rows=3)
    unrefined = pair(refinement(0))
    _, guide = unrefined.bind()
    row = Datum(jnp.asarray(rows.x[0]))
    plain = unrefined.pair.guide.family.gaussian(unrefined.pair.guide.encoder(rows.x[0]))
    np.testing.assert_array_equal(guide(row).distribution.mean, plain.mean)


def test_the_optimizer_remembers_the_steps_before(float64):
    """One that moves by the number of its step, whatever the gradient."""

    def update(gradient, count, parameters=None):
        return jax.tree.map(lambda g: jnp.zeros_like(g) + count, gradient), count + 1

    counting = optax.GradientTransformation(lambda _: jnp.zeros(()), update)
    row = Datum(jnp.asarray(tabled_data(num_rows=1).x[0]))
    features = [pair(Refinement(n, counting, SAMPLED)).bind()[1].features(row) for n in (0, 4)]
    np.testing.assert_allclose(features[1] - features[0], 0 + 1 + 2 + 3)


def test_features_are_prepared_as_the_guide_prepares_them(float64):
    encoder = LinearEncoder(jnp.ones((2, 4)), jnp.zeros(2), jnp.zeros(2))
    units = Units(jnp.full(4, 2.0), jnp.full(4, 4.0))
    guide = AmortizedGuide(encoder, MeanFieldGaussian(2), units)
    row = Datum(jnp.array([6.0, 2.0, jnp.nan, -2.0]), mask=jnp.array([True, True, False, True]))
    np.testing.assert_allclose(encoder_features(guide, row), [0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(encoder_features(guide, row)[:2], guide(row).mean)
    shifted = Datum(row.x + 4.0, mask=row.mask)
    np.testing.assert_allclose(encoder_features(guide, shifted)[:2], [3.0, 3.0])


def test_the_gradient_passes_through_the_steps(float64):
    """Against central differences in the encoder and in the model; held, the encoder gets none."""
    row = Datum(jnp.asarray(tabled_data().x[0]))
    parts = (lambda p: p.pair.guide.encoder.bias, lambda p: p.pair.model.center)
    whole = pair(refinement(3))
    start = tuple(where(whole) for where in parts)

    def bound(values, through):
        moved = whole
        for where, value in zip(parts, values, strict=True):
            moved = eqx.tree_at(where, moved, value)
        moved = eqx.tree_at(lambda p: p.refinement, moved, refinement(3, through=through))
        model, guide = moved.bind()
        return model.elbo(row, guide(row).distribution)

    h, value = 1e-5, jax.jit(lambda values: bound(values, True))
    differences = [
        (value(ahead) - value(behind)) / (2 * h)
        for ahead, behind in (
            ((start[0].at[1].add(h), start[1]), (start[0].at[1].add(-h), start[1])),
            ((start[0], start[1].at[1].add(h)), (start[0], start[1].at[1].add(-h))),
        )
    ]
    found = jax.jit(jax.grad(lambda values: bound(values, True)))(start)
    np.testing.assert_allclose([found[0][1], found[1][1]], differences, rtol=1e-6)
    held = jax.jit(jax.grad(lambda values: bound(values, False)))(start)
    assert not np.asarray(held[0]).any()
    assert abs(float(held[1][1]) - differences[1]) > 1e-3


def algorithm_of(whole, bound, **options):
    return semi_amortized(
        whole,
        bound,
        options.pop("estimator", Reparameterized()),
        options.pop("optimizer", optax.adam(optax.exponential_decay(0.05, 200, 0.7))),
        example=Datum(jnp.zeros(4)),
        key=jax.random.key(0),
        **options,
    )


def test_training_through_the_steps_reaches_the_closed_optimum(float64):
    """Tolerance 1e-6 nat a row in the evidence, with exact gradients."""
    rows = tabled_data(num_rows=12)
    algorithm = algorithm_of(pair(refinement(2, rate=0.02)), SAMPLED)
    state, _ = run(algorithm, rows, 2500)
    known = mean_evidence(ProbabilisticPCA.maximum_likelihood(rows.x, 2), rows)
    fitted = algorithm.pair(state)
    assert known - 1e-6 < mean_evidence(fitted.pair.model, rows) <= known + 1e-12
    assert gaps(fitted, rows).max() < 1e-6


def test_training_around_the_steps_comes_within_two_hundredths(float64):
    rows = tabled_data(num_rows=40)
    whole = pair(Refinement(2, optax.sgd(0.02), through=False), exact=False)
    algorithm = algorithm_of(whole, ELBO(num_draws=4))
    fitted = algorithm.pair(run(algorithm, rows, 2500)[0])
    known = mean_evidence(ProbabilisticPCA.maximum_likelihood(rows.x, 2), rows)
    assert known - 0.02 < mean_evidence(fitted.pair.model, rows) <= known
    # The encoder was trained, too: it is good before any refinement.
    plain = eqx.tree_at(lambda p: p.pair.guide.family, fitted, NodesFamily(MeanFieldGaussian(2)))
    unrefined = RefinedPair(plain.pair, refinement(0))
    assert gaps(unrefined, rows).mean() < 0.02


def test_around_the_steps_each_side_has_the_gradient_of_its_own_bound(float64):
    """Plain ascent: the encoder moves as in joint ascent at its own features."""
    rows = tabled_data(num_rows=5)
    held = pair(Refinement(4, optax.sgd(0.1), through=False), exact=False)
    bound, options = ELBO(num_draws=4000), {"optimizer": optax.sgd(1.0)}
    algorithm = algorithm_of(held, bound, **options)
    start = algorithm.init()
    moved, _ = jax.jit(algorithm.step)(start, rows)
    plain = joint(
        eqx.tree_at(lambda p: p.refinement, held, Refinement(0)), bound, Reparameterized(),
        optax.sgd(1.0), example=Datum(jnp.zeros(4)), key=jax.random.key(5),
    )  # fmt: skip
    by_joint, _ = jax.jit(plain.step)(plain.init(), rows)
    # Other draws: 20,000 in all leave an error of about 1 / 140 of the spread of one.
    encoders = [s.parameters.pair.guide.encoder for s in (start, moved, by_joint)]
    for a, b, c in zip(*map(jax.tree.leaves, encoders), strict=True):
        np.testing.assert_allclose(b - a, c - a, atol=0.1)
        assert np.abs(b - a).max() > 0.3
    models = [s.parameters.pair.model.loadings for s in (start, moved, by_joint)]
    assert np.abs(models[1] - models[2]).max() > 0.3  # the model sees the refined q


class Counting(AbstractEstimator):
    """Reparameterized, with a state that counts its updates."""

    name = "counting"
    claims = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        out = Reparameterized()(bound, model, guide, datum, key, step=step)
        return Surrogate(out.value, out.surrogate, (aux - 3.0) ** 2)

    def init(self, key, example, guide=None):
        return jnp.zeros(())

    def update(self, aux, gradients, statistics, step):
        return aux - 0.1 * gradients


def test_an_estimator_may_carry_a_state_and_draws_are_fresh(float64):
    rows = tabled_data(num_rows=3)
    whole = pair(Refinement(1, optax.sgd(0.1)), exact=False)
    algorithm = algorithm_of(
        whole, ELBO(), estimator=Counting(), prepare=lambda datum, key: Datum(datum.x)
    )
    step, start = jax.jit(algorithm.step), algorithm.init()
    state, metrics = step(start, rows)
    assert float(state.aux) == pytest.approx(0.6)
    _, again = step(start._replace(step=jnp.int32(1)), rows)
    assert float(metrics["bound"]) != float(again["bound"])
    # The fitted guide's own draws are fixed, so that q is one distribution.
    _, guide = algorithm.pair(state).bind()
    mean = jax.jit(lambda row: guide(row).mean)
    row = Datum(jnp.asarray(rows.x[0]))
    np.testing.assert_array_equal(mean(row), mean(row))


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(InputError, match=r"num_steps: expected at least 0 steps, got -1\. Try 8"):
        Refinement(-1)
