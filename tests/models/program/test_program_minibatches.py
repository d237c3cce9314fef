"""Minibatches of a plate: unbiased by enumeration over all batches, for values and gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from taut.bounds import ELBO
from taut.core import NEG_LOG_Q, AbstractProposal, Datum, Draws, InputError, equal_mass, particles
from taut.core.compiling import steady_options
from taut.guides import StructuredGuide
from taut.inference.compiled_steps import steps
from taut.inference.posterior import SVRG, Whitened, stochastic_vi
from taut.models.program import NumPyroProgram

N, B = 5, 2
BATCHES = np.array(list(itertools.combinations(range(N), B)))
DATA = {
    "x": np.array([[0.3, 1.0], [-0.7, 0.2], [1.1, -0.4], [0.5, 0.5], [-1.2, 0.9]]),
    "y": np.array([0.4, -0.1, 1.3, 0.7, -0.9]),
}


def sized_by_data(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    with numpyro.plate("rows", len(y)):
        scale = numpyro.sample("scale", dist.HalfNormal(2.0))
        pair = numpyro.sample("pair", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta + pair[:, 0], sigma * scale), obs=y)


def sized_by_setting(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    with numpyro.plate("rows", N):
        scale = numpyro.sample("scale", dist.HalfNormal(2.0))
        pair = numpyro.sample("pair", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta + pair[:, 0], sigma * scale), obs=y)


def indexing_itself(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    with numpyro.plate("rows", N) as rows:
        scale = numpyro.sample("scale", dist.HalfNormal(2.0))
        pair = numpyro.sample("pair", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
        numpyro.sample("y", dist.Normal(x[rows] @ beta + pair[:, 0], sigma * scale), obs=y[rows])


def subsampling_itself(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    with numpyro.plate("rows", N):
        scale = numpyro.sample("scale", dist.HalfNormal(2.0))
        pair = numpyro.sample("pair", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
        batch = numpyro.subsample(x, event_dim=1)
        mean = batch @ beta + pair[:, 0]
        numpyro.sample("y", dist.Normal(mean, sigma * scale), obs=numpyro.subsample(y, event_dim=0))


PROGRAMS = [sized_by_data, sized_by_setting, indexing_itself, subsampling_itself]


class LocalGuide(AbstractProposal):
    """Normal with its own location for each row; its rows' share is scaled by N/B as the model's is."""

    loc: jax.Array
    table: jax.Array
    index: jax.Array
    scale: float

    @property
    def reparameterized(self):
        return True

    def draw(self, key, num_particles):
        # The noise belongs to the row, so that batches see the same draws.
        size = self.loc.size + self.table.size
        noise = jax.random.normal(key, (num_particles, size))
        rows = noise[:, self.loc.size :].reshape(num_particles, *self.table.shape)[:, self.index]
        local = (self.table[self.index] + 0.3 * rows).reshape(num_particles, -1)
        shared = self.loc + 0.3 * noise[:, : self.loc.size]
        return Draws(jnp.concatenate([shared, local], axis=1), equal_mass(num_particles))

    def terms(self, z):
        shared = dist.Normal(self.loc, 0.3).log_prob(z[: self.loc.size]).sum()
        local = dist.Normal(self.table[self.index].ravel(), 0.3).log_prob(z[self.loc.size :]).sum()
        return {NEG_LOG_Q: -(shared + self.scale * local)}


def elbo_of(model):
    def elbo(parameters, datum, index):
        def guide(datum):
            return LocalGuide(*parameters, index, model.row_scale)

        made = particles(model, guide, guide, datum, jax.random.key(0), 3)
        return ELBO()(made)

    return elbo


@pytest.mark.parametrize("program", PROGRAMS)
def test_elbo_and_gradient_are_unbiased_over_all_batches(program, float64):
    model, datum = NumPyroProgram.of(program, DATA, subsample={"rows": B})
    assert model.subsampled
    assert (model.num_globals, model.num_locals, model.dim) == (3, 3, 3 + B * 3)
    assert model.row_scale == N / B
    everything = model.all_rows()
    assert not everything.subsampled
    assert everything.dim == 3 + N * 3
    parameters = (jnp.array([0.2, -0.1, 0.3]), jnp.linspace(-1.0, 1.0, N * 3).reshape(N, 3))

    def of_batch(parameters, index):
        return elbo_of(model)(parameters, Datum(x=datum.x, index=index), index)

    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(of_batch), in_axes=(None, 0)))(
        parameters, jnp.asarray(BATCHES)
    )
    whole, gradient = jax.jit(jax.value_and_grad(elbo_of(everything)))(
        parameters, datum, jnp.arange(N)
    )
    assert np.ptp(values) > 0.1
    np.testing.assert_allclose(np.mean(values), whole, rtol=1e-12)
    for batches, exact in zip(gradients, gradient, strict=True):
        np.testing.assert_allclose(np.mean(batches, axis=0), exact, rtol=1e-10, atol=1e-12)


def shared_alone(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.StudentT(4.0, x @ beta, 0.5), obs=y)


def test_svrg_is_unbiased_and_its_noise_falls_with_the_distance(float64):
    """Over all batches, values and gradients; at the anchor the gradient is that of all rows."""
    model, datum = NumPyroProgram.of(shared_alone, DATA, subsample={"rows": B})
    whole = model.all_rows()
    anchor = jnp.array([0.7, 0.2])

    @jax.jit
    def by_batch(z):
        gradient = jax.grad(lambda at: whole.log_joint(datum, at))(anchor)
        anchored = SVRG(model, anchor, gradient)

        def both(m, index):
            batch = Datum(x=datum.x, index=index)
            return jax.value_and_grad(lambda at: m.log_joint(batch, at))(z)

        every = jax.vmap(both, in_axes=(None, 0))
        batches = jnp.asarray(BATCHES)
        return every(anchored, batches), every(model, batches), both(whole, None)

    assert SVRG(model, anchor, anchor).subsampled
    for z, ratio in ((anchor, 1e-12), (anchor + 0.01, 0.1), (anchor + 2.0, np.inf)):
        (values, gradients), (_, plain), (value, gradient) = by_batch(z)
        np.testing.assert_allclose(np.mean(values), value, rtol=1e-12)
        np.testing.assert_allclose(np.mean(gradients, axis=0), gradient, rtol=1e-10, atol=1e-12)
        noise, of_plain = (np.std(g, axis=0).max() for g in (gradients, plain))
        assert noise <= ratio * of_plain
        np.testing.assert_allclose(np.mean(plain, axis=0), gradient, rtol=1e-10, atol=1e-12)


def test_a_batch_of_another_size_is_the_same_program(float64):
    """The batch of a pilot fit: all rows at once are the whole, scaled by one."""
    model, datum = NumPyroProgram.of(shared_alone, DATA, subsample={"rows": B})
    z = jnp.array([0.3, -0.4])
    larger = [
        model.with_batch(4).log_joint(Datum(x=datum.x, index=jnp.array(rows)), z)
        for rows in itertools.combinations(range(N), 4)
    ]
    whole = model.all_rows().log_joint(datum, z)
    np.testing.assert_allclose(np.mean(larger), whole, rtol=1e-12)
    assert model.with_batch(4).row_scale == N / 4
    assert not model.with_batch(N).subsampled


def test_the_whole_model_is_the_program_and_has_the_batch_layout(float64):
    """The same z, cut by rows, gives each batch its rows; the plain program agrees on the density."""
    model, datum = NumPyroProgram.of(sized_by_data, DATA, subsample={"rows": B})
    everything = model.all_rows()
    plain, _ = NumPyroProgram.of(sized_by_data, DATA)
    z = jax.random.normal(jax.random.key(0), (everything.dim,))

    @jax.jit
    def routes(z):
        theta = everything.constrain(z)
        by_plain = plain.log_joint(datum, plain.unconstrain(theta))
        return theta, everything.log_joint(datum, z), by_plain, everything.unconstrain(theta)

    theta, here, by_plain, back = routes(z)
    np.testing.assert_allclose(here, by_plain, rtol=1e-12)
    index = np.array([3, 1])
    rows = z[3:].reshape(N, 3)[index]
    batch = jax.jit(model.constrain)(jnp.concatenate([z[:3], rows.ravel()]))
    np.testing.assert_allclose(batch["scale"], theta["scale"][index], rtol=1e-12)
    np.testing.assert_allclose(batch["pair"], theta["pair"][index], rtol=1e-12)
    np.testing.assert_allclose(back, z, rtol=1e-9, atol=1e-12)


def copying(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    scaled = 2.0 * x
    with numpyro.plate("rows", len(y)) as rows:
        numpyro.sample("y", dist.StudentT(4.0, scaled[rows] @ beta, 0.5), obs=y[rows])


@pytest.mark.parametrize(("program", "copies"), [(shared_alone, False), (copying, True)])
def test_steps_gather_rows_and_copy_nothing(program, copies, float64):
    """What the compiled loop of steps holds beside arguments and results is less than a column."""
    rows = 20_000
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(rows, 2)), "y": rng.normal(size=rows)}
    model, datum = NumPyroProgram.of(program, data, subsample={"rows": 10})
    guide = StructuredGuide.start(jnp.zeros(2), rows, 0)
    white = Whitened(SVRG(model, jnp.zeros(2), jnp.zeros(2)), jnp.zeros(2), jnp.eye(2))
    algorithm = stochastic_vi(white, guide, datum.x, key=jax.random.key(0), step_size=0.1)
    numbers = np.arange(rows, dtype=np.int32)
    compiled = jax.jit(steps(algorithm), compiler_options=steady_options()).lower(
        algorithm.init(), Datum(x=numbers, index=numbers), np.zeros((500, 10), np.int32), 500
    )
    memory = compiled.compile().memory_analysis()
    assert (memory.temp_size_in_bytes >= rows * 8) == copies
    # The loop returns its state, the data among it, once in 500 steps.
    assert memory.output_size_in_bytes < 1.1 * sum(a.nbytes for a in datum.x.values())


def outside(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)
    numpyro.factor("penalty", (x @ beta).mean())


def bounded_by_row(x, y):
    with numpyro.plate("rows", len(y)):
        u = numpyro.sample("u", dist.Uniform(0.0, jnp.abs(y)))
        numpyro.sample("y", dist.Normal(u, 1.0), obs=y)


def drawing_itself(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", N, subsample_size=2) as rows:
        numpyro.sample("y", dist.Normal(beta, 1.0), obs=y[rows])


@pytest.mark.parametrize(
    ("program", "subsample", "message"),
    [
        (
            outside,
            {"rows": B},
            r"depend on rows of plate 'rows' inside .* got site 'penalty' outside it",
        ),
        (bounded_by_row, {"rows": B}, r"^site 'u': expected one support for all rows"),
        (drawing_itself, None, r"^plate 'rows': .* draws 2 of 5 by itself\. Try no subsample_size"),
        (sized_by_data, {"row": B}, r"^subsample: .* got 'row'\. Try 'rows'\.$"),
        (
            sized_by_data,
            {"rows": 9},
            r"^subsample: expected between 1 and 5 rows of plate 'rows', got 9",
        ),
        (sized_by_data, {}, r"^subsample: expected one plate to subsample, got none"),
    ],
)
def test_what_would_bias_a_minibatch_is_refused(program, subsample, message, float64):
    with pytest.raises(InputError, match=message):
        NumPyroProgram.of(program, DATA, subsample=subsample)


def test_a_minibatch_needs_its_row_numbers(float64):
    model, datum = NumPyroProgram.of(sized_by_data, DATA, subsample={"rows": B})
    with pytest.raises(
        InputError, match=r"2 row numbers of plate 'rows' .* got none\. Try all_rows"
    ):
        model.terms(datum, jnp.zeros(model.dim))
