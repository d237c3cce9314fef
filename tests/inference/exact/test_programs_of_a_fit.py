"""What a fit with holes compiles: programs of its own, and no operation by itself."""

import numpy as np
from compilations import compilations

import taut
from taut.core.compiling import forget

GENERATOR = np.random.default_rng(4)
ROWS = GENERATOR.normal(size=(70, 3)) * [1.0, 2.0, 3.0] + GENERATOR.choice([-9.0, 9.0], (70, 1))
HOLES = np.where(GENERATOR.random(ROWS.shape) < 0.2, np.nan, ROWS)
# Of keys, and of arrays that are put on the device.
SMALL = {"stage", "_threefry_seed", "_bits", "convert_element_type", "<lambda>"}


def filled(key):
    fits = [taut.em(HOLES, components=2, restarts=1, key=key + i) for i in range(2)]
    pooled = taut.pool(fits)
    return pooled.evidence(HOLES), pooled.impute(HOLES, draws=3)


def test_no_operation_is_compiled_by_itself():
    forget()
    with compilations() as compiled:
        filled(0)
    names = [name.removeprefix("jit(").removesuffix(")") for name in compiled]
    assert {name for name in names if name not in SMALL} == {"_results"}
    assert names.count("_results") <= 10


def test_another_key_compiles_nothing():
    filled(0)
    with compilations() as compiled:
        filled(5)
    assert compiled == []
