"""Multi-scale split: half of the channels end here, the other half goes on through a chain of its own.

    x = (kept, rest),   e = (rest - m(kept)) exp(-s(kept)),        z = (inner(kept), e), flat
    log det = log |det inner| - sum of s

Over a standard normal base, rest is N(m, exp(s)^2) given kept, or N(0, I) without a network, and later
layers work on half of the numbers. All of x has one z: nothing is drawn, the number is exact. As a
surjection that draws rest, it is `Slicing` with a `ConditionalNormal`.

Sources: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (2017), section 3.6;
Kingma and Dhariwal, Glow (2018), whose released code has the conditional normal.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Cost, WithLogDet
from taut.transforms.bijections import started
from taut.transforms.bijections.transformers import bounded
from taut.transforms.chain import Chain
from taut.transforms.images.conv_conditioner import ConvConditioner

__all__ = ["MultiScale"]


class MultiScale(AbstractBijection):
    """(H, W, C) to (H W C,): what the inner chain makes of the first floor(C/2) channels, then the rest.

    Arguments:
        x_shape: (H, W, C), C at least 2.
        inner: bijections of (H, W, floor(C/2)); None hands the kept channels on as they are.
        width, depth, activation: of the network from kept to m and s; width 0 leaves the rest as it is.

    Raises:
        InputError: a single channel; an inner chain that draws, or for another shape.
    """

    name: ClassVar[str] = "multi-scale"

    x_shape: tuple[int, ...] = eqx.field(static=True)
    z_shape: tuple[int, ...] = eqx.field(static=True)
    inner: Chain | None
    network: ConvConditioner | None

    def __init__(
        self,
        x_shape: tuple[int, int, int],
        inner: Chain | None = None,
        *,
        width: int = 32,
        depth: int = 1,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        height, breadth, channels = x_shape
        if channels < 2:
            raise InputError(
                "at least 2 channels to split", f"the shape {x_shape}", "a squeeze before it",
                where="multi-scale",
            )  # fmt: skip
        kept = channels // 2
        _check_inner(inner, (height, breadth, kept))
        self.x_shape = x_shape
        self.z_shape = (math.prod(x_shape),)
        self.inner = inner
        self.network = (
            ConvConditioner(
                kept, channels - kept, 2,
                width=width, depth=depth, activation=activation, key=key,
            )
            if width else None
        )  # fmt: skip

    @property
    def cost(self) -> Cost:
        inner = Cost(0, 0) if self.inner is None else self.inner.cost
        return Cost(inner.encode + 1, inner.decode + 1)

    def started_at(
        self, x: Float[Array, "B ..."], *, key: PRNGKeyArray | None = None
    ) -> "MultiScale":
        if self.inner is None:
            return self
        kept = x[..., : x.shape[-1] // 2]
        key = jax.random.key(0) if key is None else key  # bijections draw nothing
        return eqx.tree_at(lambda la: la.inner, self, started(self.inner, kept, key=key))

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        kept, rest = jnp.split(x, [x.shape[-1] // 2], axis=-1)
        loc, log_scale = self._parameters(kept, rest.shape)
        noise = (rest - loc) * jnp.exp(-log_scale)
        log_det = -jnp.sum(log_scale)
        if self.inner is not None:
            kept, own = self.inner.encode_and_log_det(kept)
            log_det = log_det + own
        return jnp.concatenate([kept.reshape(-1), noise.reshape(-1)]), log_det

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        height, width, channels = self.x_shape
        first, last = jnp.split(z, [height * width * (channels // 2)])
        noise = last.reshape(height, width, -1)
        log_det = jnp.zeros(())
        if self.inner is None:
            kept = first.reshape(height, width, -1)
        else:
            kept, log_det = self.inner.decode_and_log_det(first.reshape(self.inner.z_shape))
        loc, log_scale = self._parameters(kept, noise.shape)
        rest = noise * jnp.exp(log_scale) + loc
        return jnp.concatenate([kept, rest], axis=-1), log_det + jnp.sum(log_scale)

    def _parameters(
        self, kept: Float[Array, "H W k"], shape: tuple[int, ...]
    ) -> tuple[Float[Array, "H W r"], Float[Array, "H W r"]]:
        if self.network is None:
            return jnp.zeros(shape), jnp.zeros(shape)
        outputs = self.network(kept)
        return outputs[..., 0], bounded(outputs[..., 1])


def _check_inner(inner: Chain | None, shape: tuple[int, int, int]) -> None:
    if inner is None:
        return
    if inner.x_shape != shape:
        raise InputError(
            f"an inner chain for the shape {shape}, half of the channels",
            f"one that takes {inner.x_shape}", "a chain for that shape", where="multi-scale",
        )  # fmt: skip
    if not inner.bijective:
        other = next(la for la in inner.layers if not isinstance(la, AbstractBijection))
        raise InputError(
            "an inner chain of bijections", f"{other.name}, which is {other.kind}",
            "moving it before the split", where="multi-scale",
        )  # fmt: skip
