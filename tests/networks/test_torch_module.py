"""PyTorch modules as functions of one row; a small stand-in where PyTorch is not installed."""

import sys
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut

WEIGHT = np.arange(6.0, dtype=np.float32).reshape(2, 3)


class Module:
    """What of a `torch.nn.Module` is used, with one product."""

    training, grads = True, True

    def eval(self):
        self.training = False
        return self

    def cpu(self):
        return self

    def requires_grad_(self, wanted):
        self.grads = wanted
        return self

    def __call__(self, x):
        return self.forward(x)


class Linear(Module):
    weight = WEIGHT

    def forward(self, x):
        assert not self.training
        return x @ self.weight.T


@pytest.fixture
def stand_in(monkeypatch):
    torch: Any = ModuleType("torch")
    torch.nn = ModuleType("torch.nn")
    torch.nn.Module = Module
    torchax: Any = ModuleType("torchax")

    def extract_jax(module):
        inner = getattr(module, "module", module)

        def forward(states, given):
            inner.weight = states["weight"]
            return module.eval()(*given)

        return {"weight": jnp.asarray(inner.weight)}, forward

    torchax.extract_jax = extract_jax
    for name, made in (("torch", torch), ("torchax", torchax)):
        monkeypatch.setitem(sys.modules, name, made)


def test_a_module_of_batches_is_a_function_of_one_row(stand_in):
    module = Linear()
    function = taut.from_torch(module, read=lambda out: (out, 1 + out**2))
    rows = np.array([[1, 2, 3], [0, 1, 0]])
    mean, scale = jax.jit(jax.vmap(function))(rows)
    np.testing.assert_allclose(mean, rows @ WEIGHT.T)
    np.testing.assert_allclose(scale, 1 + (rows @ WEIGHT.T) ** 2)
    assert module.training
    assert module.grads
    assert [leaf.shape for leaf in jax.tree.leaves(function)] == [(2, 3)]


def test_what_is_no_module_is_refused(stand_in):
    with pytest.raises(taut.InputError, match="a function"):
        taut.from_torch(lambda x: x)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchax", None)
    with pytest.raises(taut.InputError, match=r"pip install 'taut\[torch\]'"):
        taut.from_torch(Linear())
