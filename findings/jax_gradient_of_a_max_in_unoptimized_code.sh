#!/usr/bin/env bash
# JAX 0.10.2, CPU, XLA_FLAGS=--xla_backend_optimization_level=0: the gradient of a max may be NaN.
#
# A log-sum-exp that subtracts its maximum, and differentiates through it, has no gradient at one row in
# four here. Compiled as by default, and as jax.nn.logsumexp, which stops the gradient of its maximum,
# all four are finite and agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2
cat > "$folder/gradients.py" <<'PY'
import sys

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
scales = jnp.array([2.0, 8.0])


def mixture(log_sum_exp, z):
    inside = jnp.sum(z**2)[None, None] / scales**2 / 5
    return log_sum_exp(-3.5 * jnp.log1p(inside) - 2 * jnp.log(scales))


def by_hand(x):
    top = jnp.max(x, axis=(-2, -1), keepdims=True)
    return jnp.log(jnp.sum(jnp.exp(x - top), axis=(-2, -1))) + top[..., 0, 0]


def library(x):
    return jax.nn.logsumexp(x, axis=(-2, -1))


z = jnp.stack([jnp.linspace(0.5, 3.0, 4)] * 2, axis=1)
for name, function in (("by hand", by_hand), ("library", library)):
    gradient = jax.jit(jax.vmap(jax.grad(lambda z: mixture(function, z))))(z)
    missing = int(jnp.isnan(gradient[:, 0]).sum())
    print(f"{sys.argv[1]}, {name}: {gradient[:, 0]}")
    expected = 1 if (sys.argv[1], name) == ("unoptimized", "by hand") else 0
    if missing != expected:
        raise SystemExit(f"{missing} gradients are NaN, where {expected} were")
PY
"$folder/venv/bin/python" "$folder/gradients.py" default
XLA_FLAGS=--xla_backend_optimization_level=0 "$folder/venv/bin/python" "$folder/gradients.py" unoptimized
