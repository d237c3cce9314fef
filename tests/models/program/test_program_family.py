"""A generated family of programs: taut's log-joint is NumPyro's own.

    log p(x, theta) = log_density(program, theta), and the own density of masked cells that nothing reads
    log |det dT/dz|   by automatic differentiation of `constrain`

A program is a draw of parts: latents of many supports, shapes and plates, and rows of observations under
masks, scales and partial observation, with discrete latents that are summed over every joint value.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.handlers import mask, reparam, scale
from numpyro.infer.reparam import LocScaleReparam, TransformReparam
from numpyro.infer.util import log_density

from taut.core import LOG_VOLUME
from taut.models.program import NumPyroProgram

ROWS = 3
SIMPLEX = dist.constraints.simplex
SCALARS = [
    lambda: dist.Normal(0.3, 1.2),
    lambda: dist.HalfNormal(1.5),
    lambda: dist.LogNormal(0.1, 0.5),
    lambda: dist.Beta(2.0, 3.0),
    lambda: dist.Uniform(-1.0, 2.0),
    lambda: dist.TruncatedNormal(0.2, 1.0, low=-0.5),
    lambda: dist.TruncatedNormal(0.0, 1.0, low=-1.0, high=1.5),
    lambda: dist.LeftTruncatedDistribution(dist.StudentT(4.0), low=0.1),
    lambda: dist.TransformedDistribution(
        dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(1.0, 2.0)
    ),
    lambda: dist.ImproperUniform(dist.constraints.positive, (), ()),
    lambda: dist.StudentT(5.0, 0.1, 0.7),
]
EVENTS = [
    lambda: dist.Normal(jnp.zeros(ROWS), 1.0).to_event(1),
    lambda: dist.Dirichlet(jnp.arange(1.0, ROWS + 1.0)),
    lambda: dist.MultivariateNormal(jnp.ones(ROWS), jnp.eye(ROWS) + 0.5),
    lambda: dist.LogNormal(jnp.zeros(ROWS), 0.5).to_event(1),
]
COPIES = ["sample_shape", "expand", "plate"]
SHAPES = [(), (1,), (ROWS,), (2, ROWS)]


def generated(seed):
    """A program and its data."""
    generator = np.random.default_rng(seed)

    def pick(options):
        return options[generator.integers(len(options))]

    latents = [
        (f"a{i}", pick(SCALARS if generator.random() < 0.7 else EVENTS), pick(SHAPES), pick(COPIES))
        for i in range(generator.integers(1, 4))
    ]
    around, observed = pick(["none", "mask", "scale", "both"]), pick(["whole", "in part"])
    weights = jnp.asarray(generator.uniform(0.5, 3.0, ROWS))
    shown = jnp.asarray(np.arange(ROWS) != generator.integers(ROWS))
    centred, factors = pick([True, False]), pick([True, False])
    known = np.arange(ROWS) != 1
    data = {"y": generator.normal(size=ROWS), "known": known}
    weights = weights if around in ("scale", "both") else 1.0
    shown = shown if around in ("mask", "both") else jnp.ones(ROWS, bool)

    def program(y, known):
        effect = jnp.zeros(ROWS)
        for name, make, shape, copied in latents:
            if copied == "sample_shape":
                value = numpyro.sample(name, make(), sample_shape=shape)
            elif copied == "expand" or len(shape) != 1:
                value = numpyro.sample(name, make().expand(shape))
            else:
                with numpyro.plate(f"rows of {name}", shape[0]):
                    value = numpyro.sample(name, make())
            effect = effect + numpyro.deterministic(f"mean of {name}", value.mean())
            effect = effect + jnp.sin(value).sum() * jnp.arange(ROWS)
        config = {} if centred else {"t": LocScaleReparam(0.0), "u": TransformReparam()}
        with numpyro.plate("rows", ROWS), reparam(config=config):
            t = numpyro.sample("t", dist.Normal(effect, 1.5))
            base = dist.Normal(jnp.zeros(ROWS), 1.0)
            u = numpyro.sample(
                "u", dist.TransformedDistribution(base, dist.transforms.ExpTransform())
            )
            with mask(mask=shown), scale(scale=weights):
                rest = {"obs_mask": known} if observed == "in part" else {}
                numpyro.sample("y", dist.Normal(t, u), obs=y, **rest)
                if factors:
                    numpyro.factor("weight", -0.1 * t**2)

    def idle(sites):
        """Of the rows of y_unobserved that are masked, their own density."""
        if observed == "whole":
            return 0.0
        fn = dist.Normal(sites["t"]["value"], sites["u"]["value"])
        own = weights * fn.log_prob(sites["y_unobserved"]["value"])
        return jnp.sum(own, where=known | ~shown)

    return program, data, idle


def checked(program, data, idle, seed):
    """The log-joint and log-volume at a random point: taut's, NumPyro's, taut's, the Jacobian's."""
    model, datum = NumPyroProgram.of(program, data)
    z = 0.7 * jax.random.normal(jax.random.key(seed), (model.dim,))

    @jax.jit
    def at(z):
        values = model.constrain(z)
        kept = {site.name: site for site in model.sites}

        def coordinates(z):
            cells = [
                jnp.ravel(value[..., :-1] if kept[name].support is SIMPLEX else value)
                for name, value in model.constrain(z).items()
            ]
            return jnp.concatenate(cells)

        volume = jnp.linalg.slogdet(jax.jacfwd(coordinates)(z))[1]
        terms = model.terms(datum, z)
        log_volume = terms.pop(LOG_VOLUME)
        given = {name: jnp.asarray(value) for name, value in data.items()}
        theirs, sites = log_density(program, (), given, values)
        return sum(terms.values()), theirs + idle(sites), log_volume, volume

    return [float(number) for number in at(z)]


@pytest.mark.parametrize("seed", range(10))
def test_the_log_joint_is_numpyros(seed, float64):
    ours, theirs, log_volume, volume = checked(*generated(seed), seed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(log_volume, volume, rtol=1e-9, atol=1e-9)


def summed_out(seed):
    """A program with a label in each row, under masks and whole weights, and the rows that it means."""
    generator = np.random.default_rng(seed)
    num_labels = int(generator.integers(2, 4))
    shown = np.arange(ROWS) != generator.integers(ROWS + 1)
    weights = generator.integers(1, 3, ROWS) if generator.random() < 0.7 else np.ones(ROWS, int)
    switched, weighed, copied = (generator.random(3) < 0.5).tolist()
    y = generator.normal(size=ROWS)
    rows = np.repeat(y[shown], weights[shown])

    def program(y, shown, weights):
        p = numpyro.sample("p", dist.Dirichlet(jnp.arange(1.0, num_labels + 1.0)))
        loc = numpyro.sample("loc", dist.Normal(0.0, 1.0), sample_shape=(num_labels,))
        switch = numpyro.sample("switch", dist.Bernoulli(0.3)) if switched else 0
        with numpyro.plate("rows", len(y)), mask(mask=shown), scale(scale=weights):
            shape = (1,) if copied else ()
            label = numpyro.sample("label", dist.Categorical(p), sample_shape=shape)
            numpyro.sample("y", dist.Normal(loc[label] + switch, 1.0), obs=y)
            if weighed:
                numpyro.factor("weight", 0.2 * label * loc[0])

    return program, {"y": y, "shown": shown, "weights": weights.astype(float)}, rows, num_labels


@pytest.mark.parametrize("seed", range(8))
def test_the_sum_over_labels_is_that_of_the_rows_meant(seed, float64):
    program, data, rows, num_labels = summed_out(seed)
    model, datum = NumPyroProgram.of(program, data)
    z = 0.7 * jax.random.normal(jax.random.key(seed), (model.dim,))
    every = jnp.asarray(list(itertools.product(range(num_labels), repeat=len(rows))))
    meant = {"y": jnp.asarray(rows), "shown": jnp.ones(len(rows), bool), "weights": 1.0}

    @jax.jit
    def routes(z):
        values = model.constrain(z)

        def joint(labels, switch):
            given = values | {"label": labels, "switch": switch}
            return log_density(program, (), meant, given)[0]

        switches = jnp.arange(2 if "switch" in model.reading.enumeration.touched else 1)
        each = jax.vmap(jax.vmap(joint, in_axes=(0, None)), in_axes=(None, 0))(every, switches)
        terms = model.terms(datum, z)
        del terms[LOG_VOLUME]
        return sum(terms.values()), jax.nn.logsumexp(each)

    ours, theirs = routes(z)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
