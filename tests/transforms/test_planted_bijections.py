"""Mistakes in bijections, each caught by the law that is there for it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from bijection_laws import (
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

from taut.transforms import AbstractBijection
from taut.transforms.bijections import masked_mlp, planar


class Planted(AbstractBijection):
    """A bijection with one of its directions replaced."""

    name = "planted"
    layer: Any
    encoding: Callable[..., Any] = lambda layer, x, c: layer.encode_and_log_det(x, c)
    decoding: Callable[..., Any] = lambda layer, z, c: layer.decode_and_log_det(z, c)

    x_shape = property(lambda self: self.layer.x_shape)
    z_shape = property(lambda self: self.layer.z_shape)
    condition_shape = property(lambda self: self.layer.condition_shape)

    def encode_and_log_det(self, x, condition=None):
        return self.encoding(self.layer, x, condition)

    def decode_and_log_det(self, z, condition=None):
        return self.decoding(self.layer, z, condition)


class SeesItself(eqx.Module):
    """A masked network whose mask is one place too generous: output i sees x_i."""

    network: Any
    dim = property(lambda self: self.network.dim)
    condition_dim = property(lambda self: self.network.condition_dim)

    def __call__(self, x, condition=None):
        return jnp.roll(self.network(x, condition), -1, axis=0)


def wrong_sign(layer: Any, x: Any, c: Any) -> Any:
    z, log_det = layer.encode_and_log_det(x, c)
    return z, -log_det


def of_the_other_direction(layer: Any, x: Any, c: Any) -> Any:
    return layer.encode_and_log_det(x, c)[0], layer.decode_and_log_det(x, c)[1]


def of_one_place(layer: Any, x: Any, c: Any) -> Any:
    z, log_det = layer.encode_and_log_det(x, c)
    return z, log_det / len(x)


def undone_once(layer: Any, z: Any, c: Any) -> Any:
    """x = z - (f(z) - z), the inverse to first order in f - 1."""
    x, log_det = layer.encode_and_log_det(z, c)
    return 2 * z - x, -log_det


def cancelled(layer: Any, x: Any, c: Any) -> Any:
    z, log_det = layer.encode_and_log_det(x, c)
    return jnp.log(jnp.exp(z) + 1e4 * jnp.cos(z) ** 2 + 1e4 * jnp.sin(z) ** 2 - 1e4), log_det


WRONG_VALUES = {
    "sign of the log-determinant": ("affine", Planted, {"encoding": wrong_sign}),
    "determinant of the other direction": ("affine", Planted, {"encoding": of_the_other_direction}),
    "determinant of one place of two": ("actnorm, channels", Planted, {"encoding": of_one_place}),
    "output that sees its own input": (
        "autoregressive, affine",
        lambda la: eqx.tree_at(lambda la: la.network, la, replace_fn=SeesItself), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change", "how"), WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_a_wrong_determinant_is_caught(name, change, how, float64):
    encoding, _ = both_sides(case(BIJECTIONS[name], lambda layer: change(layer, **how)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        log_det_is_that_of_autodiff(encoding)


def test_a_transposed_mask_is_caught(float64, monkeypatch):
    masks = masked_mlp.MaskedMLP._masks
    monkeypatch.setattr(masked_mlp.MaskedMLP, "_masks", lambda self: _middle_turned(masks(self)))
    encoding, decoding = both_sides(case(BIJECTIONS["autoregressive, two hidden layers"]))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        log_det_is_that_of_autodiff(encoding)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        directions_undo_each_other(decoding)


def _middle_turned(masks: list[Any]) -> list[Any]:
    first, middle, last = masks
    return [first, middle.T, last]


def test_an_approximate_inverse_is_caught(float64):
    made = case(BIJECTIONS["radial, one dimension"], lambda la: Planted(la, decoding=undone_once))
    for side in both_sides(made):
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            directions_undo_each_other(side)


def test_a_root_with_only_first_derivatives_is_caught(float64, monkeypatch):
    """A stopped search and one step of Newton's from where it ends."""
    root = planar.tanh_root

    def stopped(c: Any, s: Any) -> Any:
        a = jax.lax.stop_gradient(root(c, s))
        t = jnp.tanh(a)
        return a - (a + c * t - s) / jax.lax.stop_gradient(1 + c * (1 - t**2))

    monkeypatch.setattr(planar, "tanh_root", stopped)
    _, decoding = both_sides(case(BIJECTIONS["planar"]))
    directions_undo_each_other(decoding)
    log_det_is_that_of_autodiff(decoding)
    with pytest.raises(AssertionError):
        second_derivatives_are_those_of_the_first(decoding)


def test_a_parameter_without_a_gradient_is_caught(float64):
    def held(layer: Any) -> Any:
        return eqx.tree_at(lambda la: la.shift, layer, replace_fn=jax.lax.stop_gradient)

    with pytest.raises(AssertionError, match="shift"):
        every_parameter_has_a_gradient(case(BIJECTIONS["actnorm"], held))


def test_cancellation_in_float32_is_caught(float64):
    record = BIJECTIONS["affine"]
    wrong = record._replace(layer=lambda key: Planted(record.layer(key), encoding=cancelled))
    made = case(wrong)
    assert loss_in_float32(made, both_sides(made)) > record.float32_loss


@pytest.mark.parametrize("name", ["affine-coupling, 2-D", "spline-coupling, 1-D"])
def test_a_density_of_another_mass_is_caught(name, float64):
    with pytest.raises(AssertionError):
        mass_is_one(MASSES[name], lambda layer: Planted(layer, encoding=wrong_sign))
