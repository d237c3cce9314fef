"""Every kind of model passes the same laws, through the mint and nothing else."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import grid, log_sum, trapezoid
from skeletons import SKELETONS, Skeleton

from taut.bounds import ELBO
from taut.core import Datum, InputError, Particles, as_proposal, frozen, particles, weighted_sum

NUM_PARTICLES = 3
MANY = 4096
# Sums of some ten terms of order one in float64, in another order.
ROUNDING: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
# A central difference of step 1e-5 of values of order one: truncation and rounding are near 1e-10.
STEP = 1e-5
DIFFERENCE: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-8}
# The whole program differs from its minibatch in data only: one of them shows what JAX does with both.
DIFFERENT = [name for name in SKELETONS if name != "program"]
SHARED = {"ladder": [".top_down"], "vamp": [".encoder.slope", ".encoder.log_scale"]}


@pytest.fixture(params=list(SKELETONS))
def skeleton(request, float64) -> Skeleton:
    return SKELETONS[request.param]()


@pytest.fixture(params=[name for name in SKELETONS if name != "subsampled_program"])
def whole(request, float64) -> Skeleton:
    """A skeleton whose evidence is known."""
    return SKELETONS[request.param]()


def row(skeleton, i=0):
    return jax.tree.map(lambda leaf: leaf[i], skeleton.data)


@eqx.filter_jit
def minted(pair, datum, key, num_particles=NUM_PARTICLES) -> Particles:
    model, guide = pair.bind()
    return particles(model, guide, guide, datum, key, num_particles)


def by_hand(log_density, pair, datum, z) -> np.ndarray:
    """A hand-written log-density at each draw, (K,)."""
    pair, datum, z = jax.tree.map(np.asarray, (pair, datum, z))
    num = jax.tree.leaves(z)[0].shape[0]
    return np.array(
        [log_density(pair, datum, jax.tree.map(lambda leaf: leaf[k], z)) for k in range(num)]  # noqa: B023
    )


def readout(made: Particles):
    """A number to which every log-weight and every mass contributes with a factor of its own."""
    k = jnp.arange(1.0, 1.0 + made.num_particles)
    return jnp.sum(jnp.sin(k) * made.log_w + jnp.cos(k) * made.log_mass)


def named(tree) -> dict[str, np.ndarray]:
    """The leaves of a tree by their path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


# What a particle is.


def test_terms_add_up_to_the_log_weight(skeleton):
    made = minted(skeleton.pair, row(skeleton), jax.random.key(0))
    terms = [np.asarray(t).reshape(made.num_particles, -1).sum(axis=1) for t in made.terms.values()]
    np.testing.assert_allclose(made.log_w, np.sum(terms, axis=0), **ROUNDING)


def test_the_log_weight_is_log_joint_minus_log_q(skeleton):
    datum = row(skeleton, 1)
    made = minted(skeleton.pair, datum, jax.random.key(1))
    log_p = by_hand(skeleton.log_p, skeleton.pair, datum, made.z)
    log_q = by_hand(skeleton.log_q, skeleton.pair, datum, made.z)
    np.testing.assert_allclose(made.log_w, log_p - log_q, **ROUNDING)
    model, _ = skeleton.pair.bind()
    log_joint = jax.jit(jax.vmap(lambda z: model.log_joint(datum, z)))(made.z)
    np.testing.assert_allclose(log_joint, log_p, **ROUNDING)
    if not made.dirac:
        np.testing.assert_allclose(made.log_q, log_q, **ROUNDING)


def test_masses_sum_to_one(skeleton):
    for i in range(3):
        made = minted(skeleton.pair, row(skeleton, i), jax.random.key(2))
        assert abs(log_sum(made.log_mass)) < 1e-14


@pytest.mark.parametrize("name", DIFFERENT)
def test_zero_mass_counts_zero_also_against_minus_infinity(name, float64):
    """A draw of no mass outside the support changes neither a value nor a gradient."""
    skeleton = SKELETONS[name]()

    def change(pair):
        made = minted(pair, row(skeleton), jax.random.key(3))
        nothing = jnp.full((1,), -jnp.inf)
        log_mass, log_w = (jnp.append(a, nothing) for a in (made.log_mass, made.log_w))
        elbo = jnp.sum(jnp.exp(made.log_mass) * made.log_w)
        log_evidence = jnp.log(jnp.sum(jnp.exp(made.log_mass + made.log_w)))
        padded = weighted_sum(log_mass, log_w) + jax.nn.logsumexp(log_mass + log_w)
        return padded - (elbo + log_evidence), padded

    (difference, value), gradient = jax.jit(jax.value_and_grad(change, has_aux=True))(skeleton.pair)
    assert np.isfinite(value)
    assert abs(difference) < ROUNDING["atol"]
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_allclose(leaf, 0.0, atol=ROUNDING["atol"])


# What JAX does with it.


@pytest.mark.parametrize("name", DIFFERENT)
def test_jit_vmap_and_grad_agree_with_one_row_at_a_time(name, float64):
    skeleton = SKELETONS[name]()
    keys = jax.random.split(jax.random.key(4), 3)

    def value(pair, datum, key):
        model, guide = pair.bind()
        return readout(particles(model, guide, guide, datum, key, NUM_PARTICLES))

    gradient = jax.value_and_grad(value)
    values, gradients = jax.jit(jax.vmap(gradient, in_axes=(None, 0, 0)))(
        skeleton.pair, skeleton.data, keys
    )
    plain = [value(skeleton.pair, row(skeleton, i), keys[i]) for i in range(3)]
    np.testing.assert_allclose(values, plain, **ROUNDING)
    one_row = jax.jit(gradient)
    alone = [named(one_row(skeleton.pair, row(skeleton, i), keys[i])[1]) for i in range(3)]
    for name, together in named(gradients).items():
        np.testing.assert_allclose(together, [one[name] for one in alone], **ROUNDING)


# Which parameter enters through which slot.


def slots_of(skeleton) -> set[str]:
    return set.union(*skeleton.enters.values()) | {"model"}


def slot_gradients(mint, skeleton, datum, key) -> dict[str, dict[str, np.ndarray]]:
    """Gradients of the readout with one slot live, with all of them, and with none."""
    slots = slots_of(skeleton)

    def value(pair, live):
        model, guide = pair.bind()
        model = model if "model" in live else frozen(model)
        if "guide" in slots:  # a Dirac guide has one slot
            draw = density = guide if "guide" in live else frozen(guide)
        else:
            draw = guide if "path" in live else frozen(guide)
            density = guide if "density" in live else frozen(guide)
        return readout(mint(model, draw, density, datum, key, NUM_PARTICLES))

    def all_gradients(pair):
        cases = {slot: {slot} for slot in slots} | {"all": slots, "none": set()}
        return {name: jax.grad(value)(pair, live) for name, live in cases.items()}

    return {name: named(g) for name, g in jax.jit(all_gradients)(skeleton.pair).items()}


def slot_differences(skeleton, datum, key) -> dict[str, dict[str, float]]:
    """The same derivatives along a direction, from hand-written densities by central differences."""
    slots = slots_of(skeleton)

    @jax.jit
    def draw(pair):
        _, guide = pair.bind()
        z, log_mass, *_ = as_proposal(guide(datum)).draw(key, NUM_PARTICLES)
        return z, log_mass

    def value(live, moved):
        def of(*names):
            return moved if live in names else skeleton.pair

        z, log_mass = draw(of("path", "guide"))
        k = np.arange(1.0, 1.0 + log_mass.shape[0])
        log_p = by_hand(skeleton.log_p, of("model"), datum, z)
        log_q = by_hand(skeleton.log_q, of("density", "guide"), datum, z)
        return np.sum(np.sin(k) * (log_p - log_q) + np.cos(k) * np.asarray(log_mass))

    leaves, structure = jax.tree.flatten(skeleton.pair)
    differences = {slot: {} for slot in slots}
    for i, name in enumerate(named(skeleton.pair)):
        for slot in slots:
            ends = []
            for step in (STEP, -STEP):
                moved = [*leaves[:i], leaves[i] + step * direction(leaves[i]), *leaves[i + 1 :]]
                ends.append(value(slot, jax.tree.unflatten(structure, moved)))
            differences[slot][name] = (ends[0] - ends[1]) / (2 * STEP)
    return differences


def direction(leaf) -> np.ndarray:
    return np.cos(np.arange(np.size(leaf))).reshape(np.shape(leaf))


def slot_mistakes(gradients, differences, enters) -> list[str]:
    """Which gradients are not what the hand-written densities and the skeleton's list say."""
    mistakes = []
    for slot, expected in differences.items():
        for name, difference in expected.items():
            gradient = gradients[slot][name]
            along = np.sum(gradient * direction(gradient))
            if not np.allclose(along, difference, **DIFFERENCE):
                mistakes.append(f"{name} through {slot}: {along}, expected {difference}")
            if (slot in enters[name]) != bool(np.any(gradient)):
                mistakes.append(f"{name} through {slot}: {gradient}, enters {enters[name]}")
    mistakes += [f"{n} with all frozen: {g}" for n, g in gradients["none"].items() if np.any(g)]
    return mistakes


def mint_without_model(model, draw, density, *rest):
    return particles(frozen(model), draw, density, *rest)


def mint_without_guide(model, draw, density, *rest):
    both = frozen(draw)
    return particles(model, both, both, *rest)


def mint_swapped(model, draw, density, *rest):
    return particles(model, density, draw, *rest)


def mint_with_one_guide(model, draw, density, *rest):
    return particles(model, draw, draw, *rest)


@functools.cache
def slot_results(name):
    skeleton = SKELETONS[name]()
    datum, key = row(skeleton), jax.random.key(5)
    gradients = slot_gradients(particles, skeleton, datum, key)
    return gradients, slot_differences(skeleton, datum, key)


@pytest.mark.parametrize("name", DIFFERENT)
def test_freezing_a_slot_stops_the_gradient_of_exactly_what_enters_through_it(name, float64):
    gradients, differences = slot_results(name)
    assert slot_mistakes(gradients, differences, SKELETONS[name]().enters) == []


@pytest.mark.parametrize("name", ["vae", "flow", "mixture"])
def test_a_mint_that_takes_the_wrong_slot_is_caught(name, float64):
    skeleton = SKELETONS[name]()
    _, differences = slot_results(name)
    planted = [mint_without_model, mint_without_guide]
    if name != "flow":
        planted += [mint_swapped, mint_with_one_guide]
    for mint in planted:
        gradients = slot_gradients(mint, skeleton, row(skeleton), jax.random.key(5))
        assert slot_mistakes(gradients, differences, skeleton.enters) != [], mint.__name__


@pytest.mark.parametrize("name", DIFFERENT)
def test_shared_parameters_get_the_gradients_of_both_sides(name, float64):
    gradients, differences = slot_results(name)
    for leaf, gradient in gradients["all"].items():
        entered = {slot: d[leaf] for slot, d in differences.items() if abs(d[leaf]) > 1e-6}
        along = np.sum(gradient * direction(gradient))
        np.testing.assert_allclose(along, sum(entered.values()), **DIFFERENCE)
        if "model" in entered and len(entered) > 1:  # shared: neither side alone would do
            one_sided = [entered["model"], sum(entered.values()) - entered["model"]]
            assert not np.isclose(along, one_sided, **DIFFERENCE).any()
        else:
            assert leaf not in SHARED.get(name, [])


# What it estimates.


def test_the_evidence_estimate_is_unbiased(whole):
    datum = row(whole, 2)
    expected = whole.log_evidence(*jax.tree.map(np.asarray, (whole.pair, datum)))
    made = jax.jit(minted, static_argnums=3)(whole.pair, datum, jax.random.key(7), MANY)
    assert not evidence_is_off(made.log_mass, made.log_w, expected)
    # Planted: the normalising constant of one Gaussian was dropped.
    assert evidence_is_off(made.log_mass, made.log_w + 0.5 * np.log(2 * np.pi), expected)


def evidence_is_off(log_mass, log_w, log_evidence) -> bool:
    """Whether the mean weight is more than five standard errors from the evidence."""
    ratio = np.exp(np.asarray(log_w) - log_evidence)
    mean = np.sum(np.exp(np.asarray(log_mass)) * ratio)
    if ratio.size < MANY:  # enumerated or Dirac: nothing is left to chance
        return abs(mean - 1.0) > 1e-9
    return abs(mean - 1.0) > 5.0 * ratio.std(ddof=1) / np.sqrt(ratio.size)


def test_the_elbo_does_not_exceed_the_log_evidence(whole):
    datum = row(whole, 1)
    log_evidence = whole.log_evidence(*jax.tree.map(np.asarray, (whole.pair, datum)))
    made = jax.jit(minted, static_argnums=3)(whole.pair, datum, jax.random.key(8), MANY)
    elbo = float(ELBO(kl="sampled")(made))
    if made.dirac:
        assert abs(elbo - log_evidence) < 1e-9
    elif made.num_particles < MANY:
        assert elbo < log_evidence
    else:
        error = float(np.std(made.log_w, ddof=1)) / np.sqrt(MANY)
        assert elbo < log_evidence + 5 * error


@pytest.mark.parametrize("name", ["vae", "ladder"])
def test_the_closed_kl_is_the_mean_of_the_sampled_one(name, float64):
    skeleton = SKELETONS[name]()
    make = jax.jit(minted, static_argnums=3)
    made = make(skeleton.pair, row(skeleton), jax.random.key(9), MANY)
    kl, log_prior = np.asarray(made.kl), np.asarray(made.terms["log_prior"])
    assert kl.shape == (MANY, 2)
    sampled = np.asarray(made.log_q) - log_prior.sum(axis=1)
    assert not differ(kl.sum(axis=1), sampled)
    assert differ(kl[:, 0], sampled)  # planted: a group was left out
    if name == "ladder":
        groups = -np.asarray(made.terms["-log_q"]) - log_prior
        assert not any(differ(kl[:, g], groups[:, g]) for g in (0, 1))
        assert all(differ(kl[:, 1 - g], groups[:, g]) for g in (0, 1))  # planted: exchanged


def differ(one, other) -> bool:
    """Whether two averages over the same draws are more than five standard errors apart."""
    difference = one - other
    return abs(difference.mean()) > 5 * difference.std(ddof=1) / np.sqrt(difference.size)


# What single skeletons promise.


def test_a_flow_has_no_log_q_and_no_entropy(float64):
    skeleton = SKELETONS["flow"]()
    made = minted(skeleton.pair, row(skeleton), jax.random.key(10))
    with pytest.raises(InputError, match=r"one z, which has neither log q nor an entropy"):
        _ = made.log_q
    _, guide = skeleton.pair.bind()
    with pytest.raises(
        InputError, match=r"entropy: expected .* got Dirac\. Try averaging the term"
    ):
        guide(row(skeleton)).entropy()


def test_a_flow_is_frozen_on_both_sides_or_on_none(float64):
    skeleton = SKELETONS["flow"]()
    model, guide = skeleton.pair.bind()
    with pytest.raises(InputError, match="expected a guide that draws at random in every layer"):
        particles(model, frozen(guide), guide, row(skeleton), jax.random.key(11), 1)


def test_the_log_weight_of_a_flow_integrates_to_one(float64):
    skeleton = SKELETONS["flow"]()
    nodes, weights = grid(*trapezoid(-14.0, 14.0, 0.1), 2)

    @jax.jit
    @jax.vmap
    def log_w(x):
        return minted(skeleton.pair, Datum(x=x), jax.random.key(12)).log_w[0]

    assert abs(log_sum(log_w(nodes), weights=weights)) < 1e-10


def test_a_vamp_prior_moves_the_encoder_with_the_guide_frozen(float64):
    skeleton = SKELETONS["vamp"]()

    def elbo(pair):
        model, guide = pair.bind()
        draw, density = frozen(guide), frozen(guide)
        made = particles(model, draw, density, row(skeleton), jax.random.key(13), NUM_PARTICLES)
        return weighted_sum(made.log_mass, made.log_w)

    gradient = jax.jit(jax.grad(elbo))(skeleton.pair)
    assert gradient.encoder.slope != 0
    assert gradient.encoder.log_scale != 0
