"""Registry x law: every bound is on the side that it claims and linear where it says so."""

import functools
import itertools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import (
    CategoricalGuide,
    EnumeratedGuide,
    FedGuide,
    TableModel,
    datum,
    given,
    log_sum,
    tuples,
)
from registered import concrete_subclasses
from scipy.special import log_softmax, softmax
from unchecked import types_unchecked

import taut.bounds
from taut.bounds import BOUNDS, ELBO, IWAE, AbstractBound, Renyi
from taut.core import InputError, Particles, particles

VARIANTS = {
    "elbo, 3 draws": ELBO(num_draws=3),
    "elbo, sampled KL": ELBO(kl="sampled"),
    "elbo, closed KL": ELBO(kl="closed"),
    "elbo, beta": ELBO(beta=0.5),
    "elbo, warm-up": ELBO(warmup_steps=10),
    "elbo, free bits": ELBO(free_bits=0.7),
    "elbo, free bits of 2 draws": ELBO(num_draws=2, free_bits=0.7),
    "elbo, all of them": ELBO(beta=2.0, warmup_steps=5, free_bits=0.2),
    "iwae, 1 particle": IWAE(num_particles=1),
    "iwae, 2 particles": IWAE(num_particles=2),
    "iwae, warm-up": IWAE(num_particles=2, warmup_steps=10),
    "renyi, alpha -2": Renyi(alpha=-2.0),
    "renyi, alpha 0": Renyi(alpha=0.0, num_particles=3),
    "renyi, alpha 1": Renyi(alpha=1.0, num_particles=2),
    "renyi, alpha 3": Renyi(alpha=3.0, num_particles=4),
}
INSTANCES = {f"{name}, default": cls() for name, cls in BOUNDS.items()} | VARIANTS

every_bound = pytest.mark.parametrize("bound", INSTANCES.values(), ids=INSTANCES.keys())


def test_every_bound_is_registered_under_its_name():
    assert concrete_subclasses(AbstractBound, taut.bounds) == set(BOUNDS.values())
    assert all(cls.name == name for name, cls in BOUNDS.items())


# The side, on a model of three latent outcomes: all K-tuples of draws are enumerated.

PRIOR = np.array([0.2, -0.5, 0.4])
LIKELIHOOD = np.array([[0.3, -1.2], [1.5, 0.1], [-0.7, 0.9]])
GUIDES = {"near": np.array([0.1, 0.3, -0.2]), "far": np.array([2.0, -1.0, 0.5])}


@functools.cache
def all_particles(guide: str, num_particles: int) -> tuple[Particles, np.ndarray, float]:
    """Particles at every tuple of draws, the tuples' probabilities, and log p(x)."""
    model = TableModel(jnp.asarray(PRIOR), jnp.asarray(LIKELIHOOD))
    logits = GUIDES[guide]
    draws, probabilities = tuples(softmax(logits), num_particles)

    @jax.jit
    @jax.vmap
    def mint(z):
        fed = FedGuide(CategoricalGuide(jnp.asarray(logits)), z, given)
        return particles(model, fed, fed, datum(1), jax.random.key(0), num_particles)

    return mint(draws), probabilities, log_sum(model.log_joint_table()[:, 1])


def expected_value(bound, guide) -> tuple[float, float]:
    made, probabilities, log_evidence = all_particles(guide, bound.minted)
    return float(probabilities @ jax.jit(jax.vmap(bound))(made)), log_evidence


def on_its_side(side: str, value: float, log_evidence: float) -> bool:
    within = 1e-12  # rounding of a sum over at most 3^5 tuples
    return {
        "exact": abs(value - log_evidence) < within,
        "unbiased": abs(value - log_evidence) < within,
        "lower": value <= log_evidence + within,
        "upper": value >= log_evidence - within,
        "none": True,
    }[side]


@every_bound
@pytest.mark.parametrize("guide", GUIDES)
def test_the_expected_value_lies_on_the_side_that_is_claimed(bound, guide, float64):
    value, log_evidence = expected_value(bound, guide)
    assert on_its_side(bound.side, value, log_evidence)


def test_a_wrong_side_is_caught(float64):
    value, log_evidence = expected_value(Renyi(alpha=-4.0), "far")
    assert Renyi(alpha=-4.0).side == "none"
    assert not on_its_side("lower", value, log_evidence)
    value, log_evidence = expected_value(ELBO(), "far")
    assert not on_its_side("upper", value, log_evidence)
    assert not on_its_side("unbiased", value, log_evidence)


def test_enumerated_draws_give_the_exact_average(float64):
    """Unequal masses: IWAE is log p(x), the ELBO its defining sum, Renyi the closed bound."""
    model = TableModel(jnp.asarray(PRIOR), jnp.asarray(LIKELIHOOD))
    guide = EnumeratedGuide(jnp.asarray(GUIDES["far"]))
    made = jax.jit(lambda key: particles(model, guide, guide, datum(1), key, 1))(jax.random.key(0))
    log_q, log_joint = log_softmax(GUIDES["far"]), model.log_joint_table()[:, 1]
    log_w = log_joint - log_q
    elbo = np.exp(log_q) @ log_w
    np.testing.assert_allclose(IWAE()(made), log_sum(log_joint), rtol=1e-13)
    np.testing.assert_allclose([ELBO(kl=k)(made) for k in ("closed", "sampled")], elbo, rtol=1e-13)
    np.testing.assert_allclose(Renyi(alpha=1.0)(made), elbo, rtol=1e-13)
    for alpha in (-1.5, 0.0, 0.5, 2.0):
        closed = np.log(np.exp(log_q) @ np.exp(log_w) ** (1 - alpha)) / (1 - alpha)
        np.testing.assert_allclose(Renyi(alpha=alpha)(made), closed, rtol=1e-13)


@every_bound
def test_a_draw_without_mass_counts_for_nothing(bound, float64):
    """A fourth outcome of no mass, outside the model's support, in value and gradient."""
    terms = {"log_likelihood": np.array([-1.0, -2.0, -0.5]), "-log_q": np.array([0.9, 1.3, 1.1])}
    kl = np.array([[0.4], [0.3], [0.6]])
    log_mass = np.log([0.5, 0.3, 0.2])

    def value(terms, log_mass, kl):
        return bound(Particles(z=None, log_mass=log_mass, terms=terms, kl=kl))

    padded = {
        "log_likelihood": np.append(terms["log_likelihood"], -np.inf),
        "-log_q": np.append(terms["-log_q"], 0.0),
    }
    derivative = jax.jit(jax.value_and_grad(value))
    with_it = derivative(padded, np.append(log_mass, -np.inf), np.append(kl, [[0.0]], axis=0))
    without = derivative(terms, log_mass, kl)
    np.testing.assert_allclose(with_it[0], without[0], rtol=1e-14)
    for name, gradient in with_it[1].items():
        np.testing.assert_allclose(gradient[:3], without[1][name], rtol=1e-14)
        assert gradient[3] == 0


# Linearity: minibatches of B = 2 of N = 5 rows, with their log-likelihood scaled up by N/B.

NUM_ROWS, BATCH = 5, 2


def subsampled_particles(rows: tuple[int, ...]) -> Particles:
    """Three draws at which some rows of a plate were seen; numbers without a structure."""
    per_row = -np.abs(np.sin(np.arange(1.0, 3 * NUM_ROWS + 1).reshape(NUM_ROWS, 3)))
    return Particles(
        z=None,
        log_mass=jnp.log(jnp.array([0.2, 0.3, 0.5])),
        terms={
            "log_likelihood": NUM_ROWS / len(rows) * jnp.asarray(per_row)[np.array(rows)].sum(0),
            "log_prior": jnp.array([-1.1, -0.4, -2.0]),
            "-log_q": jnp.array([0.7, 1.2, 0.1]),
        },
        kl=jnp.array([[0.3], [0.5], [0.2]]),
        subsampled=len(rows) < NUM_ROWS,
    )


def linear_as_it_says(bound) -> bool:
    """Whether a linear bound is unbiased over all minibatches, and any other refuses them."""
    batches = list(itertools.combinations(range(NUM_ROWS), BATCH))
    if not bound.linear:
        try:
            bound(subsampled_particles(batches[0]))
        except InputError as refusal:
            return "the ELBO, or all rows of the plate" in str(refusal)
        return False
    values = [float(bound(subsampled_particles(batch))) for batch in batches]
    whole = float(bound(subsampled_particles(tuple(range(NUM_ROWS)))))
    return bool(abs(np.mean(values) - whole) < 1e-13)


@every_bound
def test_minibatches_over_a_plate_are_unbiased_or_refused(bound, float64):
    assert linear_as_it_says(bound)


class Careless(AbstractBound):
    """Planted: the logarithm of an average which takes minibatches, and says that it is linear."""

    name: ClassVar[str] = "careless"
    linear: ClassVar[bool] = True

    @property
    def minted(self):
        return 1

    @property
    def side(self):
        return "lower"

    def __call__(self, particles):
        return jax.nn.logsumexp(particles.log_mass + particles.log_w)

    def objective(self, particles, step):
        return self(particles)


class CarelessToo(Careless):
    """Planted: it says that it is not linear, and takes minibatches all the same."""

    linear: ClassVar[bool] = False


def test_a_careless_bound_is_caught(float64):
    assert not linear_as_it_says(Careless())
    assert not linear_as_it_says(CarelessToo())


# The value is reported, the objective is maximised; `departure` says in words when they differ.

THREE_GROUPS = {
    "terms": {
        "log_likelihood": np.array([-3.0, -2.0]),
        "log_prior": np.array([[-1.0, -0.5, -0.1], [-0.3, -0.9, -0.4]]),
        "-log_q": np.array([[0.6, 0.2, 0.1], [0.1, 0.7, 0.3]]),
    },
    "kl": np.array([[0.05, 0.5, 1.2], [0.15, 0.9, 0.8]]),
}


def grouped_particles() -> Particles:
    return Particles(
        z=None,
        log_mass=jnp.log(jnp.array([0.25, 0.75])),
        terms={name: jnp.asarray(t) for name, t in THREE_GROUPS["terms"].items()},
        kl=jnp.asarray(THREE_GROUPS["kl"]),
    )


@every_bound
@pytest.mark.parametrize("num_steps", [1, 7, 1000])
def test_departure_is_silent_exactly_when_the_objective_is_the_value(bound, num_steps, float64):
    made = grouped_particles()
    last_objective = float(bound.objective(made, num_steps - 1))
    same = abs(last_objective - float(bound(made))) < 1e-13
    assert same == (bound.departure(num_steps) is None)


@pytest.mark.parametrize("step", [0, 3, 9, 10, 500])
def test_beta_warm_up_and_free_bits_act_as_written(step, float64):
    mass, kl = np.array([0.25, 0.75]), THREE_GROUPS["kl"]
    reconstruction = mass @ THREE_GROUPS["terms"]["log_likelihood"]
    factor = 4.0 * min(1.0, (step + 1) / 10)
    expected = reconstruction - factor * np.maximum(mass @ kl, 0.3).sum()
    bound = ELBO(beta=4.0, warmup_steps=10, free_bits=0.3)
    objective = jax.jit(lambda step: bound.objective(grouped_particles(), step))
    np.testing.assert_allclose(objective(jnp.asarray(step)), expected, rtol=1e-14)
    np.testing.assert_allclose(bound(grouped_particles()), reconstruction - (mass @ kl).sum())


def test_beta_weighs_a_sampled_kl_too(float64):
    mass, terms = np.array([0.25, 0.75]), THREE_GROUPS["terms"]
    kl = -mass @ (terms["log_prior"] + terms["-log_q"]).sum(axis=1)
    bound = ELBO(beta=0.5, kl="sampled")
    expected = mass @ terms["log_likelihood"] - 0.5 * kl
    np.testing.assert_allclose(bound.objective(grouped_particles(), 0), expected, rtol=1e-14)
    np.testing.assert_allclose(bound(grouped_particles()), expected - 0.5 * kl, rtol=1e-14)


@pytest.mark.parametrize("step", [0, 3, 9, 500])
def test_the_warm_up_of_iwae_weighs_the_prior_and_log_q(step, float64):
    mass, terms = np.array([0.25, 0.75]), THREE_GROUPS["terms"]
    factor = min(1.0, (step + 1) / 10)
    log_w = terms["log_likelihood"] + factor * (terms["log_prior"] + terms["-log_q"]).sum(axis=1)
    bound = IWAE(num_particles=2, warmup_steps=10)
    objective = jax.jit(lambda step: bound.objective(grouped_particles(), step))(jnp.asarray(step))
    np.testing.assert_allclose(objective, np.log(mass @ np.exp(log_w)), rtol=1e-14)


def test_departure_names_every_cause():
    bound = ELBO(beta=0.5, warmup_steps=100, free_bits=0.25)
    assert bound.departure(40) == (
        "the KL is weighed by beta = 0.5; the KL warm-up was at step 40 of 100; "
        "0.25 nats of KL per group are free"
    )
    assert ELBO(warmup_steps=100).departure(100) is None


def test_volumes_stand_outside_the_kl(float64):
    """A flow's terms: the value is the log-weight, and beta leaves the log-volume alone."""
    made = Particles(
        z=None,
        log_mass=jnp.zeros(1),
        terms={"log_prior": jnp.array([-2.0]), "log_volume": jnp.array([[0.3, 0.4]])},
        dirac=True,
    )
    reconstruction, kl = ELBO().parts(made)
    np.testing.assert_allclose([reconstruction, kl.sum()], [0.7, 2.0], rtol=1e-15)
    np.testing.assert_allclose([ELBO()(made), IWAE()(made)], -1.3, rtol=1e-15)


# What is refused.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ELBO(num_draws=0), "num_draws: expected at least one draw, got 0. Try 1."),
        (lambda: ELBO(beta=-1.0), "beta: expected a factor of at least 0, got -1.0. Try 1."),
        (lambda: ELBO(beta=np.nan), "beta: expected a factor of at least 0, got nan. Try 1."),
        (
            lambda: ELBO(warmup_steps=-1),
            "kl_warmup_steps: expected at least 0 steps, got -1. Try 0.",
        ),
        (
            lambda: IWAE(warmup_steps=-1),
            "kl_warmup_steps: expected at least 0 steps, got -1. Try 0.",
        ),
        (lambda: ELBO(free_bits=-0.1), "free_bits: expected at least 0 nats, got -0.1. Try 0."),
        (
            lambda: ELBO(free_bits=0.1, kl="sampled"),
            "free_bits: expected a closed KL, which free bits clip per group, got a sampled one. "
            'Try kl="closed" or free_bits=0.',
        ),
        (
            lambda: IWAE(num_particles=0),
            "num_particles: expected at least one particle, got 0. Try 5.",
        ),
        (
            lambda: Renyi(num_particles=0),
            "num_particles: expected at least one particle, got 0. Try 5.",
        ),
        (lambda: Renyi(alpha=np.inf), "alpha: expected a finite order, got inf. Try 0.5."),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(InputError) as refusal:
        make()
    assert str(refusal.value) == message


def test_an_unknown_kl_is_refused():
    with types_unchecked(), pytest.raises(InputError) as refusal:
        ELBO(kl="exact")  # pyright: ignore[reportArgumentType]
    assert str(refusal.value) == "kl: expected auto, closed or sampled, got 'exact'. Try auto."


def test_a_closed_kl_that_does_not_exist_is_refused(float64):
    made = eqx.tree_at(lambda p: p.kl, grouped_particles(), None)
    with pytest.raises(InputError, match=r"^kl: expected a guide and prior with a closed KL, got"):
        ELBO(kl="closed")(made)
    with pytest.raises(InputError, match=r"^free_bits: expected a closed KL, .* Try free_bits=0"):
        ELBO(free_bits=0.1).objective(made, 0)


@every_bound
def test_float32_loses_no_more_than_its_rounding(bound):
    """Log-weights near -800 nats, as an image has them: their exponentials would underflow."""
    log_likelihood = np.array([-801.3, -799.9, -812.4])

    def value(dtype):
        made = Particles(
            z=None,
            log_mass=jnp.full(3, -np.log(3.0), dtype),
            terms={"log_likelihood": jnp.asarray(log_likelihood, dtype)},
            kl=jnp.ones((3, 1), dtype),
        )
        return bound(made)

    narrow = value("float32")
    assert narrow.dtype == jnp.float32
    with jax.enable_x64(True):
        wide = float(value("float64"))
    # Each of a handful of operations rounds numbers up to 3 * 812, for Renyi's largest order.
    np.testing.assert_allclose(narrow, wide, atol=4 * 3 * 812 * float(np.finfo(np.float32).eps))


@every_bound
def test_a_separable_objective_is_the_average_over_draws_alone(bound, float64):
    """And one that is not differs: at draws whose weights, and closed KLs, are unlike each other."""
    k = bound.minted
    terms = {"log_likelihood": np.linspace(-3.0, 1.0, k) ** 2, "-log_q": np.linspace(0.5, 1.0, k)}
    kl = np.linspace(0.1, 1.4, 2 * k).reshape(k, 2)

    @jax.jit
    def both(terms, kl):
        def alone(terms, kl):
            one = {name: t[None] for name, t in terms.items()}
            return bound.objective(Particles(None, jnp.zeros(1), one, kl[None]), 3)

        whole = Particles(None, jnp.full(k, -np.log(k)), terms, kl)
        return bound.objective(whole, 3), jnp.mean(jax.vmap(alone)(terms, kl))

    together, apart = both(terms, kl)
    assert (abs(float(together - apart)) < 1e-13) == bound.separable
