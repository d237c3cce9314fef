#!/usr/bin/env bash
# JAX 0.10.2: erfcx is 0 between 9.195 and 9.419 in float32, between 26.544 and 26.641 in float64.
#
# exp(x^2) is still a number there and erfc(x) is 0 already; the asymptotic form begins where exp(x^2)
# overflows. 0.0603 is right at 9.3, and 0.0212 at 26.6. A log-survival function of the normal made of it
# is -inf at 13.1 standard deviations and right at 12.9 and 13.4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 scipy==1.17.1
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfcx
from scipy.special import erfcx as right

for dtype, inside, beside in ((np.float32, 9.3, (9.1, 9.5)), (np.float64, 26.6, (26.4, 26.7))):
    with jax.enable_x64(dtype is np.float64):
        found = float(erfcx(jnp.asarray(inside, dtype)))
        print(f"{dtype.__name__}: erfcx({inside}) = {found}, right {right(inside):.4f}")
        assert found == 0.0
        for x in beside:
            assert abs(float(erfcx(jnp.asarray(x, dtype))) / right(x) - 1) < 1e-5
PY
