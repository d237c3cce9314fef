"""One record or more for each bijection of vectors and elementwise, and chains whose mass is known."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flowjax import bijections as theirs
from jax.scipy.stats import norm

from taut.transforms import (
    AbsoluteValue,
    AbstractLayer,
    ActNorm,
    Affine,
    AffineTransformer,
    Autoregressive,
    FlowJAXBijection,
    GatedTransformer,
    Inverse,
    InvertibleLinear,
    Logit,
    Permute,
    Planar,
    Radial,
    RealNVPTransformer,
    Reshape,
    SplineTransformer,
    Standardize,
    Sylvester,
    vector_coupling,
)

MOVE = 0.4  # of every parameter, so that no law holds by the way a layer starts
CONDITION = 2
NETWORK = {"hidden": (3,), "activation": "tanh"}
AFFINE, SPLINE, GATED = AffineTransformer(), SplineTransformer(3, 2.0), GatedTransformer()


class Record(NamedTuple):
    """A bijection and what it claims.

    Attributes:
        layer: makes it, from a key.
        support: from a normal number to an x of the layer.
        latent: from a normal number to a z of the layer.
        fixed: leaves that are not learned, by name.
        float32_loss: what latents, data and log |det| may lose in float32, relative to their size.
    """

    layer: Callable[[Any], Any]
    support: Callable[[Any], Any] = lambda e: e
    latent: Callable[[Any], Any] = lambda e: e
    fixed: tuple[str, ...] = ()
    float32_loss: float = 0.0


def spread(e: Any) -> Any:
    """Half of the numbers within the splines' box, half outside of it."""
    return 3 * e


def flowjax_chain(key: Any) -> FlowJAXBijection:
    """A triangular matrix, shifted by a function of the condition, made positive."""
    weights = jax.random.normal(key, (3, 3)) + 2 * jnp.eye(3)
    linear = theirs.TriangularAffine(jnp.array([0.3, -1.0, 0.0]), weights)
    shifted = theirs.AdditiveCondition(eqx.nn.Linear(CONDITION, 3, key=key), (3,), (CONDITION,))
    return FlowJAXBijection(theirs.Chain([linear, shifted, theirs.SoftPlus((3,))]))


class Slope(eqx.Module):
    """Log-odds of a positive sign that vanish with what is signed: the density has no jump."""

    a: Any

    def __call__(self, z: Any) -> Any:
        return self.a * z


def standardize() -> Standardize:
    shift = jnp.array([[0.3, -2.0], [10.0, 0.0]])
    return Standardize(shift, jnp.array([[2.0, 0.5], [3.0, 1.5]]))


c = CONDITION
BIJECTIONS: dict[str, Record] = {
    "actnorm": Record(lambda key: ActNorm((3,)), float32_loss=1e-6),
    "actnorm, channels": Record(lambda key: ActNorm((2, 3)), float32_loss=1e-6),
    "affine": Record(lambda key: Affine((2, 2), condition_dim=c), float32_loss=1e-6),
    "standardize": Record(
        lambda key: standardize(), fixed=("shift", "scale"), float32_loss=1e-6
    ),
    "reshape": Record(lambda key: Reshape((4,), (2, 2))),
    "permute, slices": Record(lambda key: Permute((3, 1, 0, 2))),
    "permute, gather": Record(lambda key: Permute((0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9))),
    "lu": Record(lambda key: InvertibleLinear(3, key=key), float32_loss=2e-6),
    "logit": Record(
        lambda key: Logit((3,), -1.0, 3.0, margin=0.01),
        support=lambda e: -1 + 4 * jax.nn.sigmoid(e),
        float32_loss=2e-6,
    ),
    "inverse, of logit": Record(
        lambda key: Inverse(Logit((3,), -1.0, 3.0, margin=0.01)),
        latent=lambda e: -1 + 4 * jax.nn.sigmoid(e),
        float32_loss=2e-6,
    ),
    "inverse, of maf": Record(
        lambda key: Inverse(Autoregressive(3, AFFINE, condition_dim=c, key=key, **NETWORK)),
        float32_loss=2e-6,
    ),
    "planar": Record(lambda key: Planar(3, condition_dim=c, key=key), float32_loss=2e-6),
    "radial": Record(lambda key: Radial(3, condition_dim=c, key=key), float32_loss=2e-6),
    "radial, one dimension": Record(lambda key: Radial(1, key=key), float32_loss=2e-6),
    "sylvester": Record(
        lambda key: Sylvester(3, units=2, condition_dim=c, key=key), float32_loss=2e-6
    ),
    "autoregressive, gated": Record(
        lambda key: Autoregressive(3, GATED, reads="latent", condition_dim=c, key=key, **NETWORK),
        float32_loss=2e-6,
    ),
    "coupling, affine": Record(
        lambda key: vector_coupling(3, AFFINE, condition_dim=c, key=key, **NETWORK), float32_loss=2e-6
    ),
    "coupling, affine, one dimension": Record(
        lambda key: vector_coupling(1, AFFINE, key=key, **NETWORK), float32_loss=2e-6
    ),
    "coupling, spline": Record(
        lambda key: vector_coupling(3, SPLINE, condition_dim=c, key=key, **NETWORK),
        support=spread, latent=spread, float32_loss=1e-5,
    ),
    "coupling, real-nvp": Record(
        lambda key: vector_coupling(3, RealNVPTransformer(), key=key, **NETWORK), float32_loss=2e-6
    ),
    "autoregressive, affine": Record(
        lambda key: Autoregressive(3, AFFINE, condition_dim=c, key=key, **NETWORK),
        float32_loss=2e-6,
    ),
    "autoregressive, two hidden layers": Record(
        lambda key: Autoregressive(3, AFFINE, key=key, hidden=(4, 4), activation="tanh"),
        float32_loss=2e-6,
    ),
    "autoregressive, spline": Record(
        lambda key: Autoregressive(3, SPLINE, condition_dim=c, key=key, **NETWORK),
        support=spread, latent=spread, float32_loss=1e-5,
    ),
    "flowjax": Record(flowjax_chain, latent=jnp.exp, float32_loss=2e-6),
}  # fmt: skip


def moved(tree: Any) -> Any:
    """Every parameter away from where it starts."""
    rng = np.random.default_rng(1)

    def elsewhere(leaf: Any) -> Any:
        return np.asarray(leaf) + MOVE * rng.normal(size=leaf.shape)

    return jax.tree.map(lambda a: elsewhere(a) if eqx.is_inexact_array(a) else a, tree)


class Massive(NamedTuple):
    """A chain of one or two dimensions whose density is added up on a grid.

    Attributes:
        layers: makes them, from a key.
        dim: 1 or 2.
        smooth: whether the density is analytic, so that a trapezoid errs by rounding only.
        ends: of the grid, beyond which no mass lies.
        step: of the grid.
        log_base: log p(z); None for a standard normal.
    """

    layers: Callable[[Any], list[AbstractLayer]]
    dim: int = 2
    smooth: bool = True
    ends: tuple[float, float] = (-20.0, 20.0)
    step: float = 0.125
    log_base: Callable[[Any], Any] | None = None


def one(layer: Callable[[Any], Any], **claims: Any) -> Massive:
    return Massive(lambda key: [layer(key)], **claims)


def of_line_and_plane(
    name: str, layer: Callable[[int, Any], Any], **claims: Any
) -> dict[str, Massive]:
    return {
        f"{name}, {dim}-D": one(lambda key, dim=dim: layer(dim, key), dim=dim, **claims)
        for dim in (1, 2)
    }


ROUGH = {"smooth": False, "step": 0.0625}
# A spline is the identity outside of its box, and has more kinks within.
BOXED = {"smooth": False, "step": 0.03125, "ends": (-9.0, 9.0)}
MASSES: dict[str, Massive] = {
    **of_line_and_plane("actnorm", lambda d, key: ActNorm((d,))),
    **of_line_and_plane("affine", lambda d, key: Affine((d,))),
    **of_line_and_plane("lu", lambda d, key: InvertibleLinear(d, key=key)),
    **of_line_and_plane("planar", lambda d, key: Planar(d, key=key)),
    **of_line_and_plane("radial", lambda d, key: Radial(d, key=key), **ROUGH),
    **of_line_and_plane("sylvester", lambda d, key: Sylvester(d, key=key)),
    **of_line_and_plane(
        "iaf",
        lambda d, key: Autoregressive(d, GATED, reads="latent", key=key, **NETWORK),
    ),
    **of_line_and_plane(
        "affine-coupling", lambda d, key: vector_coupling(d, AFFINE, key=key, **NETWORK)
    ),
    **of_line_and_plane(
        "spline-coupling", lambda d, key: vector_coupling(d, SPLINE, key=key, **NETWORK), **BOXED
    ),
    **of_line_and_plane("maf", lambda d, key: Autoregressive(d, AFFINE, key=key, **NETWORK)),
    **of_line_and_plane(
        "spline-maf", lambda d, key: Autoregressive(d, SPLINE, key=key, **NETWORK), **BOXED
    ),
    "inverse, of maf": one(
        lambda key: Inverse(Autoregressive(2, AFFINE, key=key, **NETWORK)), ends=(-40.0, 40.0)
    ),
    "logit": one(lambda key: Logit((1,), margin=0.0), dim=1, ends=(0.0, 1.0), step=1 / 1024),
    "inverse, of logit": one(
        lambda key: Inverse(Logit((1,), margin=0.0)),
        dim=1, ends=(-40.0, 40.0), log_base=lambda z: jnp.zeros(()),
    ),
    "standardize": one(lambda key: Standardize(jnp.array([1.0, -2.0]), jnp.array([2.0, 1.5]))),
    "permute": one(lambda key: Permute((1, 0))),
    "flowjax": one(
        lambda key: FlowJAXBijection(theirs.TriangularAffine(jnp.zeros(2), 1.5 * jnp.eye(2)))
    ),
    "three layers": Massive(
        lambda key: [
            vector_coupling(2, AFFINE, key=jax.random.fold_in(key, 0), **NETWORK),
            InvertibleLinear(2, key=jax.random.fold_in(key, 1)),
            Planar(2, key=jax.random.fold_in(key, 2)),
        ]
    ),
    "spline and fold": Massive(
        lambda key: [
            vector_coupling(2, SPLINE, key=key, **NETWORK),
            Permute((1, 0)),
            AbsoluteValue((2,), Slope(jnp.array([0.3, -1.5]))),
        ],
        log_base=lambda z: jnp.sum(jnp.log(2.0) + norm.logpdf(z)), **BOXED,
    ),
}  # fmt: skip
