"""Per-datum inference: where it ends, and which bits it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from known_models import TableModel
from nodes import EnumeratedFamily, NodesFamily, mean_evidence, run, tabled_data, unfitted_ppca
from scipy.special import log_softmax

from taut.bounds import ELBO
from taut.core import Datum, InputError, RunError
from taut.evidence import importance_sampling
from taut.gradients import AbstractEstimator, Reparameterized, Surrogate
from taut.guides import FullRankGaussian, MeanFieldGaussian, PerDatumGuide
from taut.inference.amortized import per_datum
from taut.models import ProbabilisticPCA
from taut.training import Loop, train

ROWS = 12


def decaying(rate=0.1, every=150):
    return optax.adam(optax.exponential_decay(rate, every, 0.7))


def made(rows, family, **options):
    model = options.pop("model", None)
    model = unfitted_ppca(4, 2, key=jax.random.key(1)) if model is None else model
    return per_datum(
        model,
        PerDatumGuide.start(family, rows),
        options.pop("bound", ELBO(kl="sampled")),
        options.pop("estimator", Reparameterized()),
        options.pop("row_optimizer", decaying()),
        example=jax.tree.map(lambda leaf: leaf[0], rows),
        key=jax.random.key(0),
        **options,
    )


def test_each_row_reaches_its_own_posterior(float64):
    """1e-6 nat under a full covariance; under a diagonal one, the closed best of that family."""
    rows = tabled_data(num_rows=ROWS)
    # Two columns that point much the same way: the posterior's two latents are correlated.
    weight = jnp.array([[1.0, 0.8], [0.5, -0.2], [0.9, 1.0], [0.0, 0.3]])
    model = ProbabilisticPCA(center=jnp.ones(4), loadings=weight, log_variance=jnp.asarray(-1.0))
    for gaussian in (FullRankGaussian(2), MeanFieldGaussian(2)):
        algorithm = made(rows, NodesFamily(gaussian), model=model)
        _, guide = algorithm.pair(run(algorithm, rows, 2000)[0]).bind()

        @jax.jit
        def compared(rows, guide=guide):
            def one(row):
                q, p = guide(row).distribution, model.posterior(row)
                return q.mean, q.variance, p.mean, p.covariance_matrix, p.precision_matrix

            return jax.vmap(one)(rows)

        mean, variance, known_mean, covariance, precision = map(np.asarray, compared(rows))
        np.testing.assert_allclose(mean, known_mean, atol=1e-3)  # 1e-6 nat in the bound
        marginal = np.diagonal(covariance, axis1=1, axis2=2)
        conditional = 1 / np.diagonal(precision, axis1=1, axis2=2)
        known, other = (
            (marginal, conditional) if gaussian.name == "full-rank" else (conditional, marginal)
        )
        np.testing.assert_allclose(variance, known, rtol=1e-3)
        assert np.abs(variance - other).max() > 0.01


def test_reaches_the_posterior_where_z_is_enumerated(float64):
    rng = np.random.default_rng(0)
    model = TableModel(jnp.asarray(rng.normal(size=3)), jnp.asarray(rng.normal(size=(3, 4))))
    rows = Datum(np.array([0, 3, 2, 2]), index=np.array([7, 1, 4, 90], np.int32))
    algorithm = made(rows, EnumeratedFamily(3), model=model)
    state, metrics = run(algorithm, rows, 1500)
    _, guide = algorithm.pair(state).bind()
    log_joint = model.log_joint_table()
    found = np.stack(
        [guide(Datum(x, index=i)).log_q for x, i in zip(rows.x, rows.index, strict=True)]
    )
    np.testing.assert_allclose(found, log_softmax(log_joint[:, rows.x].T, axis=1), atol=1e-4)
    evidence = np.log(np.exp(log_joint).sum(axis=0))[rows.x].mean()
    assert evidence - 1e-6 < float(metrics["bound"]) <= evidence + 1e-12


@pytest.mark.parametrize("inner_steps", [1, 4])
def test_with_the_model_it_reaches_the_closed_optimum(inner_steps, float64):
    """Tolerance 1e-5 nat a row: half of the rows at a time, by the library's own loop."""
    rows = tabled_data(num_rows=ROWS)
    algorithm = made(
        rows,
        NodesFamily(MeanFieldGaussian(2)),
        model_optimizer=decaying(0.05, 300),
        row_optimizer=decaying(0.1, 600),
        inner_steps=inner_steps,
    )
    loop = Loop(num_steps=6000, batch_size=ROWS, seed=0, validate_every=6000)
    state = train(algorithm, rows, loop)
    known = mean_evidence(ProbabilisticPCA.maximum_likelihood(rows.x, 2), rows)
    reached = mean_evidence(algorithm.pair(state.inference).model, rows)
    assert known - 1e-5 < reached <= known + 1e-12


def test_rows_outside_the_batch_keep_every_bit(float64):
    rows = tabled_data(num_rows=ROWS)
    algorithm = made(rows, MeanFieldGaussian(2), model_optimizer=optax.adam(0.1), inner_steps=2)
    step, state = jax.jit(algorithm.step), algorithm.init()
    visits = np.zeros(ROWS, int)
    # The table is in the order of the numbers, which is the reverse of the rows' here.
    place = np.argsort(np.argsort(np.asarray(rows.index)))
    for picked in ([0, 3, 5], [3, 4, 11]):
        before = state
        state, _ = step(state, jax.tree.map(lambda leaf, p=picked: leaf[np.array(p)], rows))
        visits[place[picked]] += 2
        inside = np.isin(np.arange(ROWS), place[picked])
        leaves = [jax.tree.leaves((s.table, s.row_optimizers)) for s in (before, state)]
        assert len(leaves[0]) == 5  # features; two moments; the counts of Adam and of its schedule
        for old, new in zip(*(map(np.asarray, ls) for ls in leaves), strict=True):
            differs = np.array([a.tobytes() != b.tobytes() for a, b in zip(old, new, strict=True)])
            np.testing.assert_array_equal(differs, inside)
    counts = [leaf for leaf in jax.tree.leaves(state.row_optimizers) if leaf.dtype == np.int32]
    np.testing.assert_array_equal(counts[0], visits)


def test_a_row_twice_in_a_batch_moves_once_by_the_sum(float64):
    rows = tabled_data(num_rows=ROWS)
    algorithm = made(rows, NodesFamily(MeanFieldGaussian(2)), row_optimizer=optax.sgd(0.01))
    step = jax.jit(algorithm.step)

    once, twice = (
        step(algorithm.init(), jax.tree.map(lambda leaf, p=picked: leaf[np.array(p)], rows))[0]
        for picked in ([0, 1, 2, 3], [0, 0, 2, 3])
    )
    place = int(np.argsort(np.argsort(np.asarray(rows.index)))[0])
    start = np.asarray(algorithm.init().table)
    np.testing.assert_allclose(
        np.asarray(twice.table)[place] - start[place],
        2 * (np.asarray(once.table)[place] - start[place]),
        rtol=1e-12,
    )


def test_a_step_is_that_of_each_row_alone(float64):
    """Against an Optax loop over single rows, with exact gradients."""
    rows = tabled_data(num_rows=3)
    family = NodesFamily(MeanFieldGaussian(2))
    model = unfitted_ppca(4, 2, key=jax.random.key(1))
    weight = np.array([1.0, 0.5, 3.0])
    batch = Datum(rows.x, index=rows.index, weight=weight)
    optimizer = optax.sgd(0.05, momentum=0.9)
    algorithm = made(rows, family, model=model, row_optimizer=optimizer, inner_steps=3)
    state, metrics = jax.jit(algorithm.step)(algorithm.init(), batch)

    @jax.jit
    def slope(features, x):
        return jax.value_and_grad(lambda f: -model.elbo(Datum(x), family.gaussian(f)))(features)

    last = []
    for i in range(3):
        features, moments = jnp.zeros(4), optimizer.init(jnp.zeros(4))
        for _ in range(3):
            value, gradient = slope(features, rows.x[i])
            updates, moments = optimizer.update(weight[i] * gradient, moments, features)
            features = optax.apply_updates(features, updates)
        last.append(-weight[i] * float(value))
        row = Datum(rows.x[i], index=rows.index[i])
        found = algorithm.pair(state).guide(row).distribution
        np.testing.assert_allclose(found.mean, features[:2], rtol=1e-10)
    assert float(metrics["bound"]) == pytest.approx(np.mean(last), rel=1e-10)


class Counting(AbstractEstimator):
    """Reparameterized, with a state that counts its updates and learns a level."""

    name = "counting"
    claims = ()

    def __call__(self, bound, model, guide, datum, key, *, step=0, aux=None):
        out = Reparameterized()(bound, model, guide, datum, key, step=step)
        return Surrogate(out.value, out.surrogate, (aux["level"] - 3.0) ** 2, {"x": datum.x})

    def init(self, key, example, guide=None):
        return {"level": jnp.zeros(()), "count": jnp.zeros((), jnp.int32)}

    def update(self, aux, gradients, statistics, step):
        return {"level": aux["level"] - 0.1 * gradients["level"], "count": aux["count"] + 1}


def test_an_estimator_with_a_state_moves_it_at_every_gradient(float64):
    rows = tabled_data(num_rows=3)
    algorithm = made(
        rows,
        MeanFieldGaussian(2),
        estimator=Counting(),
        inner_steps=2,
        model_optimizer=optax.sgd(0.1),
    )
    state, _ = jax.jit(algorithm.step)(algorithm.init(), rows)
    level = 0.0
    for _ in range(3):
        level -= 0.1 * 2 * (level - 3.0)
    assert int(state.aux["count"]) == 3
    assert float(state.aux["level"]) == pytest.approx(level, rel=1e-12)


def test_a_table_may_start_from_given_features(float64):
    rows = tabled_data(num_rows=4)
    features = jnp.arange(16.0).reshape(4, 4)
    guide = PerDatumGuide.start(MeanFieldGaussian(2), rows, features=features)
    means = jax.jit(jax.vmap(lambda row: guide(row).mean))(rows)
    np.testing.assert_array_equal(means, features[:, :2])


def test_the_fitted_guide_serves_the_evidence(float64):
    rows = tabled_data(num_rows=4)
    model = unfitted_ppca(4, 2, key=jax.random.key(1))
    algorithm = made(rows, MeanFieldGaussian(2), model=model, bound=ELBO(num_draws=8))
    pair = algorithm.pair(run(algorithm, rows, 500)[0])
    found = importance_sampling(pair, rows, key=jax.random.key(0), num_particles=20)
    known = np.asarray(jax.jit(jax.vmap(model.log_evidence))(rows))
    assert np.abs(found.log_evidence.values - known).max() < 0.5
    assert (found.elbo.values < known + 0.5).all()


def test_a_row_that_is_not_in_the_table_gives_no_number(float64):
    rows = tabled_data(num_rows=4)
    algorithm = made(rows, MeanFieldGaussian(2))
    foreign = Datum(rows.x, index=np.array([5, 6, 8, 11], np.int32))  # 5, 8, 11 and 14 are known
    state, metrics = jax.jit(algorithm.step)(algorithm.init(), foreign)
    assert np.isnan(metrics["bound"])
    known = np.isfinite(np.asarray(state.table)).all(axis=1)
    assert known.all()  # nothing was stored for it
    np.testing.assert_array_equal(state.table, algorithm.init().table)  # nor for the rows beside it
    loop = Loop(num_steps=20, batch_size=4, seed=0, validate_every=20)
    with pytest.raises(RunError, match=r"none from step 0 on \(row 6: -log_q is inf\)"):
        train(algorithm, foreign, loop)
    _, guide = algorithm.pair(state).bind()
    for index in (-1, 4, 6, 99):
        with pytest.raises(
            InputError, match=rf"of the 4 rows .*got row {index}\. Try an amortized"
        ):
            guide(Datum(rows.x[0], index=np.int32(index)))


def test_bad_tables_are_refused():
    family, x = FullRankGaussian(2), np.zeros((3, 4), np.float32)
    with pytest.raises(
        InputError, match=r"rows: expected rows with an index.*Try Datum\(x, index="
    ):
        PerDatumGuide.start(family, Datum(x))
    twice = Datum(x, index=np.array([1, 2, 1], np.int32))
    with pytest.raises(
        InputError, match=r"index: .*none twice, got 2 different ones.*Try numbering"
    ):
        PerDatumGuide.start(family, twice)
    rows = Datum(x, index=np.arange(3, dtype=np.int32))
    with pytest.raises(InputError, match=r"features of shape \(3, 5\), got \(3, 2\)"):
        PerDatumGuide.start(family, rows, features=np.zeros((3, 2), np.float32))
    with pytest.raises(InputError, match=r"inner_steps: expected at least one.*got 0\. Try 1"):
        made(rows, family, inner_steps=0)
    with pytest.raises(InputError, match=r"expected a datum with an index.*Try rows that carry"):
        PerDatumGuide.start(family, rows)(Datum(x[0]))
    algorithm = made(rows, family)
    with pytest.raises(InputError, match=r"expected a datum with an index"):
        algorithm.step(algorithm.init(), Datum(x))
