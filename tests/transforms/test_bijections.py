"""Laws of bijections, one record or more for each that the library defines."""

import functools

import equinox as eqx
import jax
import numpy as np
import pytest
from bijection_laws import (
    Case,
    Side,
    both_sides,
    case,
    directions_undo_each_other,
    every_parameter_has_a_gradient,
    log_det_is_that_of_autodiff,
    loss_in_float32,
    mass_is_one,
    second_derivatives_are_those_of_the_first,
)
from bijection_records import BIJECTIONS, MASSES

import taut.transforms.bijections
from taut.transforms import (
    LAYERS,
    AbstractLayer,
    AbstractTransformer,
    Autoregressive,
    Coupling,
)
from taut.transforms.bijections import SplineTransformer

over_all = pytest.mark.parametrize("name", BIJECTIONS)
encoding_and_decoding = pytest.mark.parametrize("side", [0, 1], ids=["encoding", "decoding"])


@functools.cache
def looked_at(name: str) -> tuple[Case, tuple[Side, Side]]:
    """Compiled once for all laws."""
    made = case(BIJECTIONS[name])
    return made, both_sides(made)


def test_every_bijection_is_registered_and_under_the_laws():
    module = taut.transforms.bijections
    exported = {getattr(module, n) for n in module.__all__}
    layers = {cls for cls in exported if isinstance(cls, type) and issubclass(cls, AbstractLayer)}
    assert layers == {cls for cls in LAYERS.values() if ".bijections." in cls.__module__}
    assert {cls.name for cls in layers} == {name.split(",")[0] for name in BIJECTIONS}


def test_every_transformer_is_under_the_laws():
    module = taut.transforms.bijections
    exported = {getattr(module, n) for n in module.__all__ if n.endswith("Transformer")}
    layers = [eqx.filter_eval_shape(r.layer, jax.random.key(0)) for r in BIJECTIONS.values()]
    met = {type(la.transformer) for la in layers if isinstance(la, Coupling | Autoregressive)}
    assert met == exported - {AbstractTransformer}


@over_all
@encoding_and_decoding
def test_directions_undo_each_other(name, side, float64):
    directions_undo_each_other(looked_at(name)[1][side])


@over_all
@encoding_and_decoding
def test_log_det(name, side, float64):
    log_det_is_that_of_autodiff(looked_at(name)[1][side])


@over_all
@encoding_and_decoding
def test_second_derivatives(name, side, float64):
    second_derivatives_are_those_of_the_first(looked_at(name)[1][side])


@over_all
def test_every_parameter_has_a_gradient(name, float64):
    every_parameter_has_a_gradient(looked_at(name)[0])


@over_all
def test_float32_loses_no_more_than_stated(name, float64):
    assert loss_in_float32(*looked_at(name)) <= BIJECTIONS[name].float32_loss


@pytest.mark.parametrize("massive", MASSES.values(), ids=MASSES)
def test_mass_is_one(massive, float64):
    mass_is_one(massive)


@pytest.mark.parametrize("spread", [3.0, 8.0])
def test_the_inverse_of_a_steep_spline_is_finite_in_float32(spread):
    """Rounding takes a place beyond its bin now and then, where the derivative has no logarithm."""
    spline, generator = SplineTransformer(4, 5.0), np.random.default_rng(0)
    raw = generator.normal(size=(200_000, spline.num_parameters)).astype(np.float32) * spread
    z = generator.uniform(-5, 5, len(raw)).astype(np.float32)
    x, log_slope = jax.jit(spline.inverse)(raw, z)
    assert np.isfinite(x).all()
    assert np.isfinite(log_slope).all()
    assert np.abs(x).max() <= 5.0 + 1e-4
