"""3 x 3 convolution of stride 1, and the residual block made of it.

    y[i, j] = b + sum over taps (s, t) in {-1, 0, 1}^2 of x[i + s, j + t] W[s, t],     x = 0 outside

    block(h) = h + conv(a(conv(a(h))))

The sum over taps is XLA's convolution, channels last, whose derivatives are written anew on a CPU (see
`taut.networks.cpu_convolution`). It takes one image; `jax.vmap` makes one convolution of a batch.

Source of the block: He, Zhang, Ren and Sun, Identity mappings in deep residual networks (ECCV 2016),
figure 4e, without normalization.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.networks.activations import activation
from taut.networks.cpu_convolution import convolve_on_cpu, xla_convolution
from taut.networks.products import rounded

__all__ = ["Convolution", "ResidualBlock", "convolve"]

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
        if jax.default_backend() == "cpu":
            # Factors that are rounded have exact products in the precision of x.
            return (
                convolve_on_cpu(*(rounded(a).astype(x.dtype) for a in (x, self.weight))) + self.bias
            )
        return convolve(x, self.weight) + self.bias


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
    """The sum over taps as XLA's convolution, with XLA's derivatives."""
    return xla_convolution(rounded(x)[None], rounded(weight), x.dtype)[0]
