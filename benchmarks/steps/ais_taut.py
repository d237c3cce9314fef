"""`taut.evidence.Annealed`, pilot included; a step of the benchmark is an image.

Arguments: .npz of the rows (`evidence_speed.py`); images; chains; temperatures; leapfrog steps; the run.
"""

import sys

import jax
import numpy as np
from serve import serve

import taut
from taut.core import Datum
from taut.evidence import Annealed


def main() -> None:
    images, chains, temperatures, leapfrog = map(int, sys.argv[2:6])
    x = np.load(sys.argv[1])["x"][:images]
    rows = Datum(x.reshape(-1, 28, 28), index=np.arange(images))
    pair = taut.load(sys.argv[6]).pair
    method = Annealed(num_particles=chains, temperatures=temperatures, leapfrog=leapfrog)
    serve(lambda: method(pair, rows, key=jax.random.key(0)), "taut", "jax")


if __name__ == "__main__":
    main()
