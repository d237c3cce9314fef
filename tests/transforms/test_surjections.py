"""Laws of surjections, one record or more for each that the library defines."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from layer_laws import (
    Fixed,
    density_is_known,
    directions_agree,
    every_parameter_has_a_gradient,
    minted,
    total_mass_is_one_and_draws_follow_it,
)
from surjection_records import SURJECTIONS

import taut.transforms.surjections
from taut.core import LOG_LIKELIHOOD, NEG_LOG_Q, Enumerated, InputError, StratifiedProposal
from taut.guides import ChainPair
from taut.models import StandardNormal
from taut.transforms import (
    LAYERS,
    AbsoluteValue,
    AbstractBijection,
    AbstractLayer,
    Augmentation,
    Chain,
    ConditionalLogitNormal,
    Dequantization,
    Encoded,
    Fibre,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    MaxPooling,
    Rounding,
    Slicing,
    VAELayer,
)

over_all = pytest.mark.parametrize("record", SURJECTIONS.values(), ids=SURJECTIONS)


def over(attribute: str) -> Any:
    chosen = {name: r for name, r in SURJECTIONS.items() if getattr(r, attribute) is not None}
    return pytest.mark.parametrize("record", chosen.values(), ids=chosen)


def test_every_surjection_is_registered_and_under_the_laws():
    exported = {
        getattr(taut.transforms.surjections, n) for n in taut.transforms.surjections.__all__
    }
    layers = {cls for cls in exported if issubclass(cls, AbstractLayer)}
    assert layers == {cls for cls in LAYERS.values() if ".surjections." in cls.__module__}
    assert {cls.name for cls in layers} == {name.split(",")[0] for name in SURJECTIONS}


@over("rule")
def test_mass_is_one(record, float64):
    total_mass_is_one_and_draws_follow_it(record)


@over("known")
def test_density_is_known(record, float64):
    density_is_known(record)


@over_all
def test_directions_agree(record, float64):
    directions_agree(record)


def test_a_mean_that_is_not_known_is_refused():
    layer = Rounding((1,), ConditionalLogitNormal(jnp.zeros((2, 1)), (1,)))
    with pytest.raises(InputError, match="a proposal with a mean in closed form, got LogitNormal"):
        layer.mean(jnp.ones(1))


@over_all
def test_gradients_and_the_loss_in_float32(record, float64):
    assert every_parameter_has_a_gradient(record) <= record.float32_loss


class Planted(AbstractLayer):
    """A layer with one of its parts replaced."""

    name = "planted"
    kind = "surjective"
    layer: AbstractLayer
    generative: Any = None
    inference: Any = None
    whole_fibre: Any = None

    x_shape = property(lambda self: self.layer.x_shape)
    z_shape = property(lambda self: self.layer.z_shape)
    deterministic_encode = property(lambda self: self.layer.deterministic_encode)
    deterministic_decode = property(lambda self: self.layer.deterministic_decode)
    fibre_size = property(lambda self: self.layer.fibre_size)

    def encode(self, x, key=None, condition=None):
        z = self.layer.encode(x, key).z
        return Encoded(z, self.inference_terms(x, z))

    def decode(self, z, key=None, condition=None):
        return self.layer.decode(z, key)

    def inference_terms(self, x, z, condition=None):
        terms = self.layer.inference_terms(x, z)
        return terms if self.inference is None else self.inference(terms)

    def generative_terms(self, x, z, condition=None):
        terms = self.layer.generative_terms(x, z)
        return terms if self.generative is None else self.generative(terms)

    def fibre(self, x, condition=None):
        fibre = self.layer.fibre(x)
        return fibre if self.whole_fibre is None else self.whole_fibre(fibre)


def flipped(terms):
    return {name: -term for name, term in terms.items()}


MISTAKES = {
    "fibre term forgotten": (
        total_mass_is_one_and_draws_follow_it, "absolute-value, odds from a network",
        {"generative": lambda terms: {}},
    ),
    "sign of the fibre term": (
        total_mass_is_one_and_draws_follow_it, "sorting", {"generative": flipped},
    ),
    "density below the maximum not normalized": (
        total_mass_is_one_and_draws_follow_it, "max-pooling, half-normal",
        {"generative": lambda terms: {LOG_LIKELIHOOD: terms[LOG_LIKELIHOOD] - jnp.log(2)}},
    ),
    "sign of log q": (density_is_known, "generative-sorting", {"inference": flipped}),
    "log q forgotten": (
        density_is_known, "generative-sorting",
        {"inference": lambda terms: {NEG_LOG_Q: 0 * terms[NEG_LOG_Q]}},
    ),
    "outcome missing": (
        density_is_known, "generative-absolute-value, odds from a network",
        {"whole_fibre": lambda fibre: Fibre(fibre.z[1:], fibre.log_q[1:])},
    ),
    "fibre not normalized": (
        directions_agree, "dequantization, logit-normal",
        {"inference": lambda terms: {NEG_LOG_Q: terms[NEG_LOG_Q] + 0.1}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("law", "name", "mistake"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_caught(law, name, mistake, float64):
    record = SURJECTIONS[name]
    with pytest.raises(AssertionError):
        law(record, Planted(record.layer(), **mistake))


def test_bits_per_dimension_are_those_of_the_levels(float64):
    """A uniform density over 0..3 in two cells is two bits each, by dequantization and rescaling."""

    class Quarter(AbstractBijection):
        name = "quarter"
        x_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
        z_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))

        def encode_and_log_det(self, x, condition=None):
            return x / 4, jnp.asarray(-2 * np.log(4))

        def decode_and_log_det(self, z, condition=None):
            return 4 * z, jnp.asarray(2 * np.log(4))

    uniform = Fixed(dist.Uniform(jnp.zeros(2), jnp.ones(2)).to_event(1))
    pair = ChainPair(Chain([Dequantization((2,)), Quarter()]), uniform)
    made = minted(pair, jnp.array([3, 0]), jax.random.key(0), 5)
    np.testing.assert_allclose(-made.log_w / (2 * np.log(2)), np.full(5, 2.0), rtol=1e-13)


def test_dequantization_stays_below_the_next_level_in_float32():
    layer = Dequantization((2000,))
    x = jnp.full(2000, 2.0**20)
    z = layer.encode(x, jax.random.key(0)).z
    np.testing.assert_array_equal(layer.decode(z), x)
    assert float(jnp.max(z - x)) > 0.8
    saturated = ConditionalLogitNormal(jnp.full((2, 2000), 4.0), (2000,))
    variational = Dequantization((2000,), saturated)
    z, terms = variational.encode(x, jax.random.key(0))
    np.testing.assert_array_equal(variational.decode(z), x)
    assert np.isfinite(terms[NEG_LOG_Q])
    assert np.isfinite(variational.inference_terms(x, z)[NEG_LOG_Q])


@pytest.mark.parametrize(
    ("layer", "row"),
    [
        (GenerativeAbsoluteValue((2,)), [1.0, -1.0]),
        (GenerativeSorting((2,)), [1.0, -1.0]),
        (Dequantization((2,)), [1.0, 0.5]),
    ],
)
def test_a_row_outside_the_support_has_no_density(layer, row):
    pair = ChainPair(Chain([layer]), StandardNormal(2))
    made = minted(pair, jnp.array(row), jax.random.key(0), 2)
    assert np.all(made.log_w == -np.inf)


def test_max_pooling_of_an_image_takes_its_blocks():
    layer = MaxPooling((4, 6, 2), (2, 3, 1))
    x = jax.random.normal(jax.random.key(0), (4, 6, 2))
    z = layer.encode(x).z
    assert z.shape == (2, 2, 2)
    assert float(z[1, 0, 1]) == float(x[2:4, 0:3, 1].max())
    np.testing.assert_array_equal(layer.encode(layer.decode(z, jax.random.key(1))).z, z)


def test_sets_are_sorted_by_their_first_column():
    layer = taut.transforms.surjections.Sorting((3, 2))
    x = jnp.array([[2.0, 5.0], [-1.0, 7.0], [0.0, 6.0]])
    np.testing.assert_array_equal(layer.encode(x).z[:, 1], [7.0, 6.0, 5.0])


def _in_classes(_):
    return StratifiedProposal(jnp.zeros(2), jnp.zeros((2, 1)), jnp.ones((2, 1)))


MESSAGES = [
    (
        lambda: GenerativeAbsoluteValue((20,)).fibre(jnp.ones(20)),
        "latents: expected at most 1024 latents that one row can have, to sum over all of them, "
        "got generative-absolute-value with 2^20 = 1048576. Try drawing z, which gives a lower bound, "
        "or fewer dimensions.",
    ),
    (lambda: GenerativeSorting((30,)).fibre(jnp.ones(30)), "got generative-sorting with 30!. Try"),
    (
        lambda: MaxPooling((5,), (2,)),
        "window: expected a window that divides the shape (5,), got (2,). Try a divisor for each axis, "
        "or a padded shape.",
    ),
    (
        lambda: Slicing((3,), 3, None),
        "keep: expected to keep a part of the last axis of (3,), 1 or more and not all, got 3. Try "
        "half of it, or a squeeze before it for images.",
    ),
    (
        lambda: Augmentation((3,), 0, None),
        "added: expected at least 1 dimension to add, got 0. Try 1.",
    ),
    (
        lambda: AbsoluteValue((2,)).decode(jnp.ones(2)),
        "key: expected a key, for a layer that draws, got none. Try `jax.random.key(0)`.",
    ),
    (
        lambda: Chain([GenerativeAbsoluteValue((2,))]).check(
            np.array([[1.0, 2.0], [3.0, -4.0]]), where="x.npy"
        ),
        "x.npy, row 1, cell 1: expected a number of at least 0 in every cell, as "
        "generative-absolute-value makes them, got -4. Try absolute-value, which takes any sign.",
    ),
    (
        lambda: GenerativeSorting((2,)).check(np.array([[1.0, 2.0], [3.0, -4.0]]), where="x.npy"),
        "x.npy, row 1, cell 1: expected rising entries in every row, as generative-sorting makes them, "
        "got -4. Try sorting, which takes any order.",
    ),
    (
        lambda: Dequantization((2, 1)).check(np.array([[[1.0], [2.5]]]), where="x.npy"),
        "x.npy, row 0, cell (1, 0): expected an integer in every cell to dequantize, got 2.5. Try a "
        "chain without dequantization.",
    ),
    (
        lambda: Augmentation((1,), 1, lambda x: Enumerated(jnp.zeros((1, 1)), jnp.zeros(1))).encode(
            jnp.ones(1), jax.random.key(0)
        ),
        "augmentation: expected a distribution to draw from, got Enumerated, which is a whole support. "
        "Try a NumPyro distribution.",
    ),
    *(
        (
            lambda draw=draw: draw(
                VAELayer(encoder=_in_classes, decoder=_in_classes, x_shape=(1,), z_shape=(1,)),
                jnp.ones(1),
                jax.random.key(0),
            ),
            f"{side}: expected a distribution to draw from, got StratifiedProposal, which is a draw of "
            "each of 2 strata. Try a NumPyro distribution.",
        )
        for side, draw in (("encoder", VAELayer.encode), ("decoder", VAELayer.decode))
    ),
]


@pytest.mark.parametrize(("act", "message"), MESSAGES)
def test_messages(act, message):
    with pytest.raises(InputError) as caught:
        act()
    assert message in str(caught.value)
