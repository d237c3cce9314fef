"""No program outlives its use: what is compiled goes into tables that forget, whoever asks for it."""

import ast
import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from compilations import compilations

import taut
from taut.core import compiling
from taut.core.compiling import forget, transformed_jit
from taut.counterfactuals import Differentiable, search

SOURCE = Path(inspect.getfile(taut)).parent
# Where JAX itself may keep a program: the module, and why that is no more than a few.
KEEPS = {
    "core/compiling.py": "the tables themselves",
    "core/devices.py": "one for each mesh",
    "core/keys.py": "one for each kind of key",
    "core/host_function.py": "functions of the host outside of programs, one each",
    "inference/compiled_steps.py": "inside of a program, which holds it",
    "networks/cpu_convolution.py": "inside of programs",
    "audit/gradient_bench.py": "timed itself, a command of its own",
}
COMPILERS = {("jax", "jit"), ("eqx", "filter_jit"), ("equinox", "filter_jit"), ("jax", "pmap")}


def compiles(path: Path) -> bool:
    names = (
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )
    return any(name in COMPILERS for name in names)


def test_programs_are_compiled_by_tables_that_forget():
    found = {p.relative_to(SOURCE).as_posix() for p in SOURCE.rglob("*.py") if compiles(p)}
    assert found == set(KEEPS)


def held() -> int:
    """Programs and traces in all tables."""
    return sum(len(table._values) for table in compiling._Kept._all)


def test_searches_for_ever_other_classifiers_share_their_programs():
    forget()
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    generator = (lambda x: x / 2, lambda z: z * 2, lambda x: -jnp.sum(x**2))

    def explained(seed: int) -> None:
        weight = np.random.default_rng(seed).normal(size=(2, 2)).astype(np.float32)
        classifier = Differentiable(lambda u: jnp.asarray(weight) @ u)
        search(generator, x[:8], classifier=classifier, target=1, confidence=0.6, plausible=x)

    for seed in range(12):
        explained(seed)
    before = held()
    with compilations() as compiled:
        for seed in range(12, 16):
            explained(seed)
    assert not compiled
    assert held() == before


def test_what_people_differentiate_is_the_same_within_and_without():
    kept = transformed_jit(lambda scale, x: {"a": scale * jnp.sin(x), "b": None})
    x = jnp.linspace(0.0, 1.0, 5)
    np.testing.assert_allclose(kept(2.0, x)["a"], 2 * np.sin(x), rtol=1e-6)
    assert kept(2.0, x)["b"] is None
    slope = jax.vmap(jax.grad(lambda x: kept(2.0, x)["a"]))(x)
    np.testing.assert_allclose(slope, 2 * np.cos(x), rtol=1e-6)
