"""The 3 x 3 convolution of stride 1 with derivatives that are fast on a CPU.

    y[n, i, j] = sum over taps (s, t) in {-1, 0, 1}^2 of x[n, i + s, j + t] W[s, t]
    its transpose in x      x'[n, i, j] = sum over taps of y'[n, i - s, j - t] W[s, t]^T
    its transpose in W      W'[s, t] = sum over n, i, j of x[n, i + s, j + t]^T y'[n, i, j]

Forward it is XLA's convolution. Of XLA's own transposes, inside a loop, a CPU runs at a few GFLOP/s: the
one in x takes its weights in an order, and the one in W a window, that its fast kernels do not know. The
transpose in x is therefore written as a convolution of the same kind with turned weights, and the one in
W as one matrix product: three neighbours in a column of one factor, three in a row of the other, which
pair up to the nine taps (`benchmarks/convolutions.py`). Programs that run long have them on all cores
(`taut.core.compiling`).

A primitive of its own, because the rules concern a batch: JAX's derivative rules for functions see one
datum under `vmap`, and would make a product for each before adding them up.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

__all__ = ["convolve_on_cpu", "xla_convolution"]


def convolve_on_cpu(
    x: Float[Array, "H W i"], weight: Float[Array, "3 3 i o"]
) -> Float[Array, "H W o"]:
    """The sum over taps; `vmap` over images makes one convolution of them, derivatives included."""
    return _convolution.bind(x[None], weight)[0]


def xla_convolution(
    x: Float[Array, "N H W i"], weight: Float[Array, "3 3 i o"], dtype: Any
) -> Float[Array, "N H W o"]:
    """XLA's convolution, channels last, added up in `dtype`."""
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, weight, (1, 1), "SAME", dimension_numbers=layout, preferred_element_type=dtype
    )


def _forward(x: Array, weight: Array) -> Array:
    return xla_convolution(x, weight, x.dtype)


def _shape(x: Any, weight: Any) -> Any:
    return x.update(shape=(*x.shape[:3], weight.shape[3]))


def _transpose_in_x(cotangent: Array, _: Any, weight: Array) -> Array:
    return _convolution.bind(cotangent, weight[::-1, ::-1].swapaxes(2, 3))


def _transpose_in_weight(cotangent: Array, x: Array, _: Any) -> Array:
    return _sum_of_pairs(cotangent, x)


@jax.jit
def _sum_of_pairs(cotangent: Array, x: Array) -> Array:
    """The sum over pixels of x^T y' for each tap, (3, 3, i, o)."""
    # The factor with fewer channels is the one to turn: a product is slow where it must do that itself.
    turn_x = x.shape[3] <= cotangent.shape[3]
    narrow, wide = (x, cotangent) if turn_x else (cotangent, x)
    n, h, w, channels = wide.shape
    # A barrier, or the three copies that follow would turn it once each.
    turned = jax.lax.optimization_barrier(jnp.moveaxis(narrow, 3, 0))
    column = jnp.stack(_neighbours(turned, axis=2)).reshape(-1, n * h * w)
    row = jnp.concatenate(_neighbours(wide, axis=2), axis=3).reshape(n * h * w, -1)
    pairs = (column @ row).reshape(3, -1, 3, channels)
    # A tap is the place of x as seen from the cotangent's, in both directions.
    return pairs[:, :, ::-1].transpose(0, 2, 1, 3) if turn_x else pairs[::-1].transpose(0, 2, 3, 1)


def _neighbours(x: Array, axis: int) -> list[Array]:
    """The entries before, at and after each along an axis, zero outside."""
    padded = jnp.pad(x, [(1, 1) if a == axis else (0, 0) for a in range(x.ndim)])
    size = x.shape[axis]
    return [jax.lax.slice_in_dim(padded, s, s + size, axis=axis) for s in range(3)]


def _batched(operands: Any, axes: Any) -> tuple[Array, int]:
    (x, weight), (x_axis, weight_axis) = operands, axes
    if weight_axis is not None:
        return jax.vmap(_forward, (x_axis, weight_axis))(x, weight), 0
    x = jnp.moveaxis(x, x_axis, 0)
    y = _convolution.bind(x.reshape(-1, *x.shape[2:]), weight)
    return y.reshape(*x.shape[:2], *y.shape[1:]), 0


_convolution = Primitive("convolution_3x3")
_convolution.def_impl(jax.jit(_forward))
_convolution.def_abstract_eval(_shape)
mlir.register_lowering(_convolution, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(_convolution, _transpose_in_x, _transpose_in_weight)
batching.primitive_batchers[_convolution] = _batched
