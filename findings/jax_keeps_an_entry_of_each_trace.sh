#!/usr/bin/env bash
# jax 0.10.2 keeps about 1.4 kB of each trace in which a function of jax.numpy meets constants alone.
#
# A function that is traced anew (`jax.make_jaxpr` of a lambda, `jax.eval_shape`, a program that is run by
# NumPyro) and computes `jnp.sqrt(2.0)` leaves an entry in the cache of compiled calls, whose key holds a
# weak reference to the trace: it can never be met again, and stays until 4,096 others came, 6 MB in all.
# The operation of jax.lax, and the same function of what depends on the argument, leave none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
import gc
import weakref

import jax
import jax.numpy as jnp

TRACES = 200


def kept(function) -> int:
    """Weak references without a target that so many traces leave."""
    counts = []
    for _ in range(2):
        for _ in range(TRACES):
            jax.make_jaxpr(lambda x: function(x))(1.0)
        gc.collect()
        dead = [o for o in gc.get_objects() if type(o) is weakref.ReferenceType and o() is None]
        counts.append(len(dead))
    return counts[1] - counts[0]


constant = kept(lambda x: x * jnp.sqrt(2.0))
operation = kept(lambda x: x * jax.lax.sqrt(2.0))
argument = kept(lambda x: jnp.sqrt(x))
print("jax", jax.__version__, "dead references after", TRACES, "traces more:", constant, operation, argument)
assert constant >= TRACES
assert operation == 0 and argument == 0
PY
"$folder/venv/bin/python" "$folder/try.py"
