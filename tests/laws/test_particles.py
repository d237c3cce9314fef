"""Particles, the proposals that draw them, and what the mint refuses."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from known_models import (
    CategoricalGuide,
    ConjugateGaussian,
    EnumeratedGuide,
    NormalGuide,
    TableModel,
    datum,
)

from taut.core import (
    AbstractModel,
    Datum,
    Dirac,
    Enumerated,
    InputError,
    Pair,
    Particles,
    RunError,
    TautError,
    as_proposal,
    equal_mass,
    frozen,
    log_weighted_sum,
    nearest,
    num_rows,
    particles,
    particles_at,
    total,
    weighted_sum,
)

KEY_NUMBER = 0


def key():
    return jax.random.key(KEY_NUMBER)


class Constant(AbstractModel):
    """Terms that are the same at every z."""

    values: dict[str, Any]

    def terms(self, datum, z):
        return {name: jnp.asarray(value) for name, value in self.values.items()}


# Sums.


def test_groups_add_up_and_draws_stay_apart(float64):
    terms = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])}
    made = Particles(z=None, log_mass=equal_mass(2), terms=terms)
    np.testing.assert_allclose(made.log_w, [1.6, 8.0])
    np.testing.assert_allclose(total(terms), 9.6)
    assert made.num_particles == 2


def test_log_q_is_the_guide_density_over_all_groups(float64):
    terms = {"log_prior": jnp.array([-7.0]), "-log_q": jnp.array([[0.25, 0.5]])}
    np.testing.assert_allclose(Particles(None, jnp.zeros(1), terms).log_q, [-0.75])


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_zero_mass_counts_zero_against_anything(value, float64):
    """Value and gradient in both arguments, for a draw whose value is not a number to be used."""
    log_mass = jnp.log(jnp.array([0.25, 0.75, 0.0]))
    values = jnp.array([2.0, -1.0, value])
    derivative = jax.jit(jax.value_and_grad(weighted_sum, argnums=(0, 1)))
    result, (by_mass, by_value) = derivative(log_mass, values)
    np.testing.assert_allclose(result, 0.25 * 2.0 - 0.75)
    np.testing.assert_allclose(by_mass, [0.5, -0.75, 0.0])
    np.testing.assert_allclose(by_value, [0.25, 0.75, 0.0])


def test_positive_mass_feels_minus_infinity(float64):
    assert weighted_sum(jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.0, -jnp.inf])) == -jnp.inf


# Proposals.


def test_distribution_proposals_draw_independently_with_equal_mass(float64):
    proposal = as_proposal(dist.Normal(jnp.array([1.0, -2.0]), 0.5).to_event(1))
    z, log_mass, terms, _ = proposal.draw(key(), 1000)
    assert z.shape == (1000, 2)
    assert terms is None
    assert not proposal.dirac
    assert not proposal.exhaustive
    np.testing.assert_allclose(log_mass, -np.log(1000.0))
    error = 0.5 / np.sqrt(1000)
    assert np.all(np.abs(np.asarray(z).mean(axis=0) - [1.0, -2.0]) < 5 * error)
    np.testing.assert_allclose(proposal.entropy(), np.log(2 * np.pi * np.e * 0.25))


def test_a_distribution_without_a_closed_entropy_says_what_else_there_is():
    two = dist.Categorical(logits=jnp.zeros(2))
    proposal = as_proposal(dist.MixtureSameFamily(two, dist.Normal(jnp.zeros(2), 1.0)))
    with pytest.raises(
        InputError, match=r"^entropy: expected a proposal with an entropy in closed"
    ):
        proposal.entropy()


def test_a_proposal_is_handed_through():
    proposal = Dirac(jnp.zeros(2), jnp.zeros(()))
    assert as_proposal(proposal) is proposal


def test_a_batch_of_distributions_is_refused():
    with pytest.raises(InputError) as refusal:
        as_proposal(dist.Normal(jnp.zeros(3), 1.0))
    assert str(refusal.value) == (
        "guide: expected a distribution over one latent (batch shape ()), got batch shape (3,). "
        "Try `.to_event()` on the guide's distribution."
    )


def test_a_guide_that_returns_something_else_is_refused():
    with pytest.raises(InputError) as refusal:
        as_proposal((0.0, 1.0))
    assert str(refusal.value) == (
        "guide: expected a guide that returns a proposal or a NumPyro distribution, got tuple. "
        "Try returning a `numpyro.distributions` object."
    )


def test_a_dirac_proposal_is_one_draw_of_all_mass_without_density(float64):
    proposal = Dirac(z={"a": jnp.array([1.0, 2.0])}, log_volume=jnp.array([0.5, 0.25]))
    made = particles(
        Constant({"log_prior": -3.0}),
        guide := lambda datum: proposal,
        guide,
        datum(0.0),
        key(),
        num_particles=7,
    )
    assert made.num_particles == 1
    assert made.dirac
    assert made.exhaustive
    np.testing.assert_allclose(made.z["a"], [[1.0, 2.0]])
    np.testing.assert_allclose(made.log_w, [-2.25])
    with pytest.raises(InputError) as refusal:
        _ = made.log_q
    assert str(refusal.value) == (
        "log_q: expected a guide with a density, got a guide that maps each row to one z, which has "
        "neither log q nor an entropy. Try the term 'log_volume'."
    )
    with pytest.raises(InputError) as refusal:
        proposal.entropy()
    assert str(refusal.value) == (
        "entropy: expected a proposal with an entropy in closed form, got Dirac. Try averaging the "
        "term '-log_q' over draws, if q draws at random."
    )


def test_enumerated_proposals_find_outcomes_of_any_structure(float64):
    support = (jnp.array([0, 0, 1]), jnp.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]]))
    log_q = jnp.log(jnp.array([0.2, 0.5, 0.3]))
    proposal = Enumerated(support, log_q)
    found = jax.jit(jax.vmap(proposal.terms))(support)["-log_q"]
    np.testing.assert_allclose(found, -log_q, rtol=1e-14)
    nowhere = proposal.terms((jnp.array(1), jnp.array([2.0, 3.0])))["-log_q"]
    assert nowhere == jnp.inf
    np.testing.assert_allclose(
        proposal.entropy(), -np.sum([0.2, 0.5, 0.3] * np.log([0.2, 0.5, 0.3]))
    )


def test_an_outcome_without_probability_is_harmless(float64):
    """A third outcome with q = 0 where p = 0 too: entropy, ELBO and evidence do without it."""
    model = Constant({"log_prior": np.log(0.5)})

    def sums(log_q):
        proposal = Enumerated(jnp.arange(3), log_q)
        made = particles(model, guide := lambda datum: proposal, guide, datum(0.0), key(), 1)
        evidence = jax.nn.logsumexp(made.log_mass + made.log_w)
        return proposal.entropy() + weighted_sum(made.log_mass, made.log_w) + evidence

    log_q = jnp.log(jnp.array([0.25, 0.75, 0.0]))
    value, gradient = jax.jit(jax.value_and_grad(sums))(log_q)
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    np.testing.assert_allclose(value, 2 * entropy + np.log(0.5) + np.log(1.0))
    assert np.all(np.isfinite(gradient))
    assert gradient[2] == 0


def test_a_frozen_density_counts_no_outcome_of_zero_mass(float64):
    """The density slot is looked up at the support; where it is zero the mass is zero as well."""
    model = TableModel(jnp.zeros(2), jnp.zeros((2, 2)))

    def evidence(log_q):
        proposal = Enumerated(jnp.arange(2), log_q)
        draw, density = (lambda datum: proposal), (lambda datum: frozen(proposal))
        made = particles(model, draw, density, datum(0), key(), 1)
        return log_weighted_sum(made.log_mass, made.log_w)

    value, gradient = jax.jit(jax.value_and_grad(evidence))(jnp.log(jnp.array([1.0, 0.0])))
    np.testing.assert_allclose(value, np.log(0.25))
    assert np.all(np.isfinite(gradient))


def test_enumeration_and_sampling_agree(float64):
    """The same table drawn both ways: the sampled average is the enumerated one, in five errors."""
    model = TableModel(jnp.array([0.3, -0.2]), jnp.array([[0.5, -0.5], [-1.0, 0.4]]))
    logits = jnp.array([0.2, 0.9])
    guides = {"all": EnumeratedGuide(logits), "some": CategoricalGuide(logits)}
    made = jax.jit(
        lambda key: {
            name: particles(model, guide, guide, datum(1), key, 4000)
            for name, guide in guides.items()
        }
    )(key())
    assert made["all"].num_particles == 2
    assert made["all"].exhaustive
    assert not made["some"].exhaustive
    exact = float(weighted_sum(made["all"].log_mass, made["all"].log_w))
    sampled = np.asarray(made["some"].log_w)
    assert abs(sampled.mean() - exact) < 5 * sampled.std(ddof=1) / np.sqrt(4000)


# The mint.


def test_a_term_of_both_sides_is_refused():
    model = Constant({"-log_q": 1.0, "log_prior": 0.0})
    with pytest.raises(InputError) as refusal:
        particles(model, g := lambda datum: dist.Normal(0.0, 1.0), g, datum(0.0), key(), 2)
    assert str(refusal.value) == (
        "terms: expected each term from the model or from the guide, got ['-log_q'] from both. "
        "Try giving one of them another name."
    )


def test_half_a_dirac_guide_is_refused():
    guide = eqx.filter_closure_convert(lambda datum: Dirac(datum.x, jnp.zeros(())), datum(0.0))
    with pytest.raises(InputError) as refusal:
        particles(Constant({"log_prior": 0.0}), guide, frozen(guide), datum(0.0), key(), 1)
    assert str(refusal.value) == (
        "gradient: expected a guide that draws at random in every layer, as this gradient moves "
        "draws or density alone, got a guide with a deterministic layer, whose log-volume belongs "
        "to both. "
        'Try gradient="reparameterized".'
    )


@pytest.mark.parametrize("num_particles", [1, 5])
def test_particles_at_given_draws_are_those_that_were_minted(num_particles, float64):
    model, guide = ConjugateGaussian(0.9, -0.2, -0.3), NormalGuide(0.4, 0.1, -0.5)
    minted = particles(model, guide, guide, datum(0.7), key(), num_particles)
    again = particles_at(model, guide, datum(0.7), minted.z)
    for name in ("log_w", "log_mass", "kl"):
        np.testing.assert_array_equal(getattr(again, name), getattr(minted, name))
    assert not again.exhaustive


def test_particles_at_any_latents_are_ratios_of_densities(float64):
    """By SciPy; latents of a grid, with masses of their own."""
    model, guide = ConjugateGaussian(0.9, -0.2, -0.3), NormalGuide(0.4, 0.1, -0.5)
    z, mass = np.linspace(-2, 2, 7), np.log(np.arange(1, 8) / 28)
    found = particles_at(model, guide, datum(0.7), jnp.asarray(z), log_mass=jnp.asarray(mass))
    norm = scipy.stats.norm.logpdf
    expected = (
        norm(0.7, 0.9 * z - 0.2, np.exp(-0.3)) + norm(z) - norm(z, 0.4 * 0.7 + 0.1, np.exp(-0.5))
    )
    # Each density is three products and a logarithm of numbers below 10.
    np.testing.assert_allclose(found.log_w, expected, rtol=0, atol=12 * 10 * np.finfo(float).eps)
    np.testing.assert_array_equal(found.log_mass, mass)


def test_particles_at_given_latents_need_a_density():
    with pytest.raises(InputError, match="a guide with a density"):
        particles_at(
            ConjugateGaussian(0.9, -0.2, -0.3),
            lambda _: Dirac(jnp.zeros(()), jnp.zeros(())),
            datum(0.7),
            jnp.zeros(2),
        )


def test_minibatches_are_refused_by_name():
    made = Particles(None, jnp.zeros(1), {"log_prior": jnp.zeros(1)}, subsampled=True)
    with pytest.raises(InputError) as refusal:
        made.refuse_subsampled("k-hat")
    assert str(refusal.value) == (
        "k-hat: expected log-weights of all rows, got log-weights of a minibatch, which "
        "bias k-hat. Try the ELBO, or all rows of the plate."
    )
    Particles(None, jnp.zeros(1), {}).refuse_subsampled("k-hat")


# Protocols.


def test_a_model_without_a_prior_says_what_else_there_is():
    with pytest.raises(InputError) as refusal:
        Constant({}).prior()
    assert str(refusal.value) == (
        "prior: expected a model that can draw from its prior, got Constant. Try importance sampling "
        "from the guide, or defining `prior`."
    )


@pytest.mark.parametrize(
    ("where", "use"),
    [("mean", lambda model: model.mean(0.0)), ("sample", lambda model: model.sample(0.0, key()))],
)
def test_a_model_that_makes_no_rows_says_so(where, use):
    with pytest.raises(InputError) as refusal:
        use(Constant({}))
    assert str(refusal.value) == (
        f"{where}: expected a model that makes rows from latents, got Constant. "
        f"Try defining `{where}(z)` in it."
    )


def test_freezing_keeps_values_and_stops_gradients(float64):
    class Mixed(eqx.Module):
        weight: Any
        count: Any
        word: str
        function: Any

    tree = Mixed(jnp.array([1.0, 2.0]), jnp.array(3), "word", jnp.tanh)
    still = frozen(tree)
    assert still.word == "word"
    assert still.function is jnp.tanh
    assert still.count == 3
    np.testing.assert_array_equal(still.weight, tree.weight)

    def square(weight):
        one = eqx.tree_at(lambda t: t.weight, tree, weight)
        return jnp.sum(one.weight * frozen(one).weight)

    np.testing.assert_array_equal(jax.grad(square)(tree.weight), tree.weight)


def test_a_pair_without_sharing_hands_out_its_parts():
    model, guide = ConjugateGaussian(1.0, 0.0, 0.0), CategoricalGuide(jnp.zeros(2))
    assert Pair(model, guide).bind() == (model, guide)


def test_the_number_of_rows_is_that_of_the_leading_axis():
    assert num_rows(Datum(x={"a": jnp.zeros((5, 2)), "b": jnp.zeros(5)})) == 5


# Messages.


def test_errors_have_three_parts_and_an_exit_code():
    error = InputError("a number", "'n/a'", "--missing 'n/a'", where="digits.csv, row 17")
    assert str(error) == "digits.csv, row 17: expected a number, got 'n/a'. Try --missing 'n/a'."
    assert str(RunError("a", "b", "c")) == "expected a, got b. Try c."
    assert (InputError.exit_code, RunError.exit_code) == (2, 1)
    assert issubclass(InputError, (TautError, ValueError))
    assert issubclass(RunError, (TautError, RuntimeError))


def test_the_nearest_name_is_offered_or_all_of_them():
    assert nearest("iwea", ["elbo", "iwae", "renyi"]) == "'iwae'"
    assert nearest("xyz", ["renyi", "elbo"]) == "elbo, renyi"
