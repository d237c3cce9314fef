"""Options of the compiler: asked for where they are known, and kept to what they are for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import compiling
from taut.core.compiling import quick_jit, steady_jit, steady_options
from taut.networks.cpu_convolution import convolve_on_cpu

X = jax.random.normal(jax.random.key(0), (64, 7, 7, 32))
WEIGHT = jax.random.normal(jax.random.key(1), (3, 3, 32, 32))
convolved = jax.vmap(convolve_on_cpu, (0, None))


@pytest.mark.parametrize(("jit", "table"), [(quick_jit, "_QUICK"), (steady_jit, "_STEADY")])
def test_an_option_that_xla_does_not_know_is_left_out(jit, table, monkeypatch):
    monkeypatch.setitem(getattr(compiling, table), "xla_no_such_option", True)
    assert float(jit(lambda x: 2 * x)(3.0)) == 6.0


def test_a_value_that_xla_does_not_know_is_left_out(monkeypatch):
    option = "xla_cpu_experimental_ynn_fusion_type"
    monkeypatch.setitem(compiling._STEADY, option, "LIBRARY_FUSION_TYPE_OF_ANOTHER_VERSION")
    assert option not in (steady_options() or {})


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="options of a CPU")
def test_an_option_that_xla_flags_names_is_as_it_says_there(monkeypatch):
    option = "xla_backend_optimization_level"
    monkeypatch.setenv("XLA_FLAGS", "")
    usual = compiling._on_cpu(compiling._EVEN)
    monkeypatch.setenv("XLA_FLAGS", f"--{option}=0 --xla_cpu_enable_fast_math=false")
    assert compiling._on_cpu(compiling._EVEN) == {
        name: value for name, value in (usual or {}).items() if name != option
    }
    assert option in (usual or {})


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="options of a CPU")
def test_no_library_that_convolves_on_one_core_is_left_in_a_steady_program():
    steady = jax.jit(convolved, compiler_options=steady_options()).lower(X, WEIGHT).compile()
    assert "convolution" in steady.as_text()
    assert "ynn" not in steady.as_text()


def test_a_steady_program_has_the_values_of_float64_up_to_the_rounding_of_its_sums():
    """|computed - exact| <= n u / (1 - n u) sum |x| |w| in any order of n products, u = 2^-24 (Higham
    2002, section 3.1); a ReLU rounds nothing."""
    steady = steady_jit(lambda x, weight: jax.nn.relu(convolved(x, weight)))(X, WEIGHT)
    with jax.enable_x64(True):
        x, weight = (jnp.asarray(a, jnp.float64) for a in (X, WEIGHT))
        exact = np.maximum(np.asarray(convolved(x, weight)), 0)
        size = np.asarray(convolved(abs(x), abs(weight)))
    assert exact.dtype == np.float64
    rounding = WEIGHT[..., 0].size * 2.0**-24
    assert np.all(np.abs(np.asarray(steady) - exact) <= rounding / (1 - rounding) * size)
