"""3 x 3 convolution of stride 1, and the residual block made of it.

    y[i, j] = b + sum over taps (s, t) in {-1, 0, 1}^2 of x[i + s, j + t] W[s, t],     x = 0 outside

    block(h) = h + conv(a(conv(a(h))))

On a CPU the sum over taps is three matrix products, one for each s, over rows with their two
neighbours side by side: the gradients are then matrix products too, where those of XLA's own
convolution run at a few GFLOP/s inside a loop (`benchmarks/convolutions.py`). Elsewhere it is XLA's
convolution, channels last. Both are unbatched; `jax.vmap` makes one product, or one convolution, of
the batch.

Source of the block: He, Zhang, Ren and Sun, Identity mappings in deep residual networks (ECCV 2016),
figure 4e, without normalization.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks.activations import activation
from taut.networks.products import product, rounded

__all__ = ["Convolution", "ResidualBlock", "convolve", "convolve_by_products"]

_BRANCH_START = 0.1  # of the usual standard deviation; zero would stop the gradient to the branch


class Convolution(eqx.Module):
    """x * W + b, with as many pixels as x.

    Attributes:
        weight: (3, 3, in, out).
        bias: (out,).
    """

    weight: Float[Array, "3 3 i o"]
    bias: Float[Array, " o"]

    def __init__(
        self, in_channels: int, out_channels: int, *, factor: float = 1.0, key: PRNGKeyArray
    ):
        shape = (3, 3, in_channels, out_channels)
        self.weight = factor * jax.nn.initializers.glorot_uniform()(key, shape)
        self.bias = jnp.zeros(out_channels)

    def __call__(self, x: Float[Array, "H W i"]) -> Float[Array, "H W o"]:
        on_cpu = jax.default_backend() == "cpu"
        return (convolve_by_products if on_cpu else convolve)(x, self.weight) + self.bias


class ResidualBlock(eqx.Module):
    """h + conv(a(conv(a(h)))); the branch starts at a tenth of the usual size.

    Attributes:
        first, second: convolutions of the branch.
        activation: name of the elementwise function a.
    """

    first: Convolution
    second: Convolution
    activation: str = eqx.field(static=True)

    def __init__(self, channels: int, *, activation: str, key: PRNGKeyArray):
        first_key, second_key = jax.random.split(key)
        self.first = Convolution(channels, channels, key=first_key)
        self.second = Convolution(channels, channels, factor=_BRANCH_START, key=second_key)
        self.activation = activation

    def __call__(self, h: Float[Array, "H W c"]) -> Float[Array, "H W c"]:
        function = activation(self.activation)
        return h + self.second(function(self.first(function(h))))


def convolve(x: Float[Array, "H W i"], weight: Float[Array, "3 3 i o"]) -> Float[Array, "H W o"]:
    """The sum over taps as XLA's convolution."""
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        rounded(x)[None],
        rounded(weight),
        (1, 1),
        "SAME",
        dimension_numbers=layout,
        preferred_element_type=x.dtype,
    )[0]


def convolve_by_products(
    x: Float[Array, "H W i"], weight: Float[Array, "3 3 i o"]
) -> Float[Array, "H W o"]:
    """The same sum as three matrix products."""
    height, width, _ = x.shape
    padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows = jnp.concatenate([padded[:, t : t + width] for t in range(3)], axis=-1)
    above, here, below = (
        product(rows[s : s + height], taps.reshape(-1, taps.shape[-1]))
        for s, taps in enumerate(weight)
    )
    return above + here + below
