"""The matrix products of `Annealed` alone: the decoder forward and back to its input, nothing between.

One for each leapfrog step of every chain and of the pilot's. A step of the benchmark is an image.

Arguments: .npz with the decoder (`evidence_speed.py`); images; chains; temperatures; leapfrog steps.
"""

import math
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from serve import serve

PILOT = 32 * 16  # temperatures and chains of a row's pilot
AT_ONCE = 1024


def main() -> None:
    content = np.load(sys.argv[1])
    weights = [jnp.asarray(content[f"weight{i}"]) for i in range(3)]
    images, chains, temperatures, leapfrog = map(int, sys.argv[2:6])
    moves = images * leapfrog * (chains * (temperatures - 1) + PILOT)
    z = jax.random.normal(jax.random.key(0), (AT_ONCE, weights[0].shape[0]))

    @jax.jit
    def products(z: Any, count: Any) -> Any:
        def both_ways(_: Any, z: Any) -> Any:
            for weight in weights:
                z = z @ weight
            for weight in reversed(weights):
                z = z @ weight.T
            return 1e-6 * z

        return jax.lax.fori_loop(0, count, both_ways, z)

    serve(lambda: jax.block_until_ready(products(z, math.ceil(moves / AT_ONCE))), "jax", "jaxlib")


if __name__ == "__main__":
    main()
