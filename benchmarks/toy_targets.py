"""Densities in the plane whose entropy is known, and potentials whose partition function is.

    checkerboard     uniform on every second 2 x 2 cell of [-4, 4]^2                  entropy log 32
    corners          in each quadrant half of the mass uniform on [1, 2] x [1, 4],
                     half on [1, 4] x [1, 2]
    eight-gaussians  means on a circle of radius 4, deviation 1/2, all over 1.414
    four-circles     circles of radius 2 around (+-1, +-1), Gaussian noise of 0.1

The entropy of the last two is an integral over a grid: the trapezoid is exact to rounding there.

Source: Nielsen et al., SurVAE flows (NeurIPS 2020), section 4 and the authors' code (after Durkan et
al., Neural spline flows, 2019, and Grathwohl et al., FFJORD, 2019); the potentials U1 to U4 are Rezende
and Mohamed's, Variational inference with normalizing flows (ICML 2015), table 1.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import i0e, logsumexp

__all__ = ["BOX", "POTENTIALS", "TARGETS", "Potential", "Target"]

BOX = 4.0

# Eight means, and the deviation around them.
_ANGLES = np.pi / 8 + np.pi / 4 * np.arange(8)
_MEANS = 4 / 1.414 * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
_DEVIATION = 0.5 / 1.414

_CENTRES = np.array(list(itertools.product([-1.0, 1.0], repeat=2)))
_RADIUS, _NOISE = 2.0, 0.1


class Target(NamedTuple):
    """A density in the plane.

    Attributes:
        sample: (generator, n) to rows, (n, 2).
        log_density: rows to nats, (n,); -inf outside the support.
        ceiling: minus the entropy, nats: the expectation of the log-density.
        bounded: whether the support is [-4, 4]^2 or a part of it.
    """

    sample: Callable[[np.random.Generator, int], np.ndarray]
    log_density: Callable[[np.ndarray], np.ndarray]
    ceiling: float
    bounded: bool


def _checkerboard(rng: np.random.Generator, n: int) -> np.ndarray:
    first = rng.uniform(-BOX, BOX, n)
    # Of the four cells of this column the second and the fourth, or the first and the third.
    cell = 2 * rng.integers(0, 2, n) + np.floor(first / 2) % 2
    return np.stack([first, -BOX + 2 * (cell + rng.random(n))], axis=1)


def _log_checkerboard(x: np.ndarray) -> np.ndarray:
    filled = np.sum(np.floor(x / 2), axis=1) % 2 == 0
    return np.where(filled & np.all(np.abs(x) < BOX, axis=1), -np.log(32), -np.inf)


def _corners(rng: np.random.Generator, n: int) -> np.ndarray:
    short, long = 1 + rng.random(n), 1 + 3 * rng.random(n)
    upright = rng.integers(0, 2, n)
    folded = np.stack([np.where(upright, short, long), np.where(upright, long, short)], 1)
    return folded * rng.choice([-1.0, 1.0], (n, 2))


def _log_corners(x: np.ndarray) -> np.ndarray:
    a, b = np.abs(x).T
    inside = [(u > 1) & (u < 2) & (v > 1) & (v < 4) for u, v in ((a, b), (b, a))]
    with np.errstate(divide="ignore"):
        return np.log(np.sum(inside, axis=0) / 24)  # 4 quadrants, 2 bars of area 3


def _gaussians(rng: np.random.Generator, n: int) -> np.ndarray:
    return _MEANS[rng.integers(0, 8, n)] + _DEVIATION * rng.normal(size=(n, 2))


def _log_gaussians(x: np.ndarray) -> np.ndarray:
    squares = np.sum((x[:, None] - _MEANS) ** 2, axis=2)
    log_norm = np.log(8 * 2 * np.pi * _DEVIATION**2)
    return logsumexp(-squares / (2 * _DEVIATION**2), axis=1) - log_norm


def _circles(rng: np.random.Generator, n: int) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi, n)
    on_circle = _RADIUS * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _CENTRES[rng.integers(0, 4, n)] + on_circle + _NOISE * rng.normal(size=(n, 2))


def _log_circles(x: np.ndarray) -> np.ndarray:
    """A circle blurred by a Gaussian: a Bessel function of the distance from its centre."""
    r = np.linalg.norm(x[:, None] - _CENTRES, axis=2)
    product = r * _RADIUS / _NOISE**2
    log_each = np.log(i0e(product)) - (r - _RADIUS) ** 2 / (2 * _NOISE**2)
    return logsumexp(log_each, axis=1) - np.log(4 * 2 * np.pi * _NOISE**2)


def minus_entropy(log_density: Callable[[np.ndarray], np.ndarray], half: float = 6.0) -> float:
    """The integral of p log p on a grid that the mass lies in."""
    step = 0.01
    nodes = np.arange(-half, half, step)
    total = 0.0
    for first in nodes:
        log_p = log_density(np.stack([np.full_like(nodes, first), nodes], 1))
        total += np.sum(np.exp(log_p) * log_p)
    return float(total * step**2)


TARGETS: dict[str, Target] = {
    "checkerboard": Target(_checkerboard, _log_checkerboard, -float(np.log(32)), True),
    "corners": Target(_corners, _log_corners, -float((np.log(12) + 2 * np.log(24)) / 3), True),
    "eight-gaussians": Target(_gaussians, _log_gaussians, minus_entropy(_log_gaussians), False),
    "four-circles": Target(_circles, _log_circles, minus_entropy(_log_circles), False),
}


class Potential(NamedTuple):
    """An unnormalized density exp(-U).

    Attributes:
        energy: U of one z, (2,).
        log_z: logarithm of the integral of exp(-U).
        boxed: whether the density is confined to |z_1| <= 4, without which it has no mass of one.
    """

    energy: Callable[[Any], Any]
    log_z: float
    boxed: bool


def _well(z: Any, centre: Any, width: float) -> Any:
    return -0.5 * ((z - centre) / width) ** 2


def _wave(z: Any) -> Any:
    return jnp.sin(jnp.pi * z[0] / 2)


def _ring(z: Any) -> Any:
    either = jnp.logaddexp(_well(z[0], 2.0, 0.6), _well(z[0], -2.0, 0.6))
    return -_well(jnp.linalg.norm(z), 2.0, 0.4) - either


def _one_wave(z: Any) -> Any:
    return -_well(z[1], _wave(z), 0.4)


def _bump(z: Any) -> Any:
    below = _wave(z) - 3 * jnp.exp(_well(z[0], 1.0, 0.6))
    return -jnp.logaddexp(_well(z[1], _wave(z), 0.35), _well(z[1], below, 0.35))


def _step(z: Any) -> Any:
    below = _wave(z) - 3 * jax.nn.sigmoid((z[0] - 1) / 0.3)
    return -jnp.logaddexp(_well(z[1], _wave(z), 0.4), _well(z[1], below, 0.35))


def _log_ring() -> float:
    """By the same grid; U1 decays on all sides."""
    step = 0.01
    nodes = np.arange(-6.0, 6.0, step)
    points = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = -np.asarray(jax.vmap(_ring)(points), np.float64)
    return float(logsumexp(log_density) + 2 * np.log(step))


_LINE = np.log(2 * BOX * np.sqrt(2 * np.pi))  # a Gaussian of width one along the box
POTENTIALS: dict[str, Potential] = {
    "U1": Potential(_ring, _log_ring(), False),
    "U2": Potential(_one_wave, float(_LINE + np.log(0.4)), True),
    "U3": Potential(_bump, float(_LINE + np.log(0.35 + 0.35)), True),
    "U4": Potential(_step, float(_LINE + np.log(0.4 + 0.35)), True),
}
