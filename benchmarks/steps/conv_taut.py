"""The library's residual convolutional VAE on 28 x 28, in the library's own loop.

Third argument: channels at 1/2, 1/4, ... of the resolution, with commas between them.
"""

import sys

from serve import CONV_LATENT, serve, task
from vae_taut import Training

import taut

if __name__ == "__main__":
    x, order = task()
    widths = tuple(int(width) for width in sys.argv[3].split(","))
    architecture = taut.VAE(
        latent_dim=CONV_LATENT,
        network="residual-conv",
        hidden=widths,
        activation="gelu",
        likelihood="bernoulli",
    )
    serve(Training(architecture, x.reshape(-1, 28, 28), order), "taut", "jax", "jaxlib")
