"""Standard normal draws on randomly rotated spheres, each N(0, I), jointly balanced.

    e = +- r_b Q_b e_i,     Q_b uniform on the orthogonal group,  r_b^2 a draw of chi-squared(d)

A block of 2d draws shares one radius and one rotation Q_b; the B radii are one from each of B
strata of equal probability. Every draw is N(0, I) once its block is chosen at random, so the
average of a function over the K = 2 d B draws is unbiased. Within a block odd moments vanish and
the second moment is a multiple of I; the strata keep that multiple close to 1. An average of a
quadratic function therefore has an error that falls faster than 1/B and does not grow with d.

Source: Monahan and Genz 1997, "Spherical-radial integration rules for Bayesian computation".
"""

import numpy as np
from jaxtyping import Float
from scipy.special import gammaincinv

__all__ = ["spherical_radial"]


def spherical_radial(
    generator: np.random.Generator, num_blocks: int, dim: int
) -> Float[np.ndarray, "K d"]:
    """2 d B draws.

    Arguments:
        generator: of everything random.
        num_blocks: B.
        dim: d.
    """
    share = (generator.permutation(num_blocks) + generator.random(num_blocks)) / num_blocks
    radius = np.sqrt(2 * gammaincinv(dim / 2, share))
    q, r = np.linalg.qr(generator.standard_normal((num_blocks, dim, dim)))
    # Signs of the diagonal of R make the rotation uniform (Mezzadri 2007).
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    half = (radius[:, None, None] * np.swapaxes(q, 1, 2)).reshape(num_blocks * dim, dim)
    return np.concatenate([half, -half])
