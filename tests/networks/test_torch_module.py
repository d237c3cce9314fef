"""The door for PyTorch modules where PyTorch is not installed; `pytorch/` tests it where it is."""

import sys
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import pytest

import taut
from taut.models.program import load_program
from taut.networks.torch_module import is_torch, jax_function


class Module:
    """What stands for `torch.nn.Module`."""

    def encode(self, x):
        return x


@pytest.fixture
def with_modules(monkeypatch):
    """A PyTorch that has modules, and nothing that runs them."""
    torch: Any = ModuleType("torch")
    nn: Any = ModuleType("torch.nn")
    torch.nn, nn.Module = nn, Module
    monkeypatch.setitem(sys.modules, "torch", torch)


def test_what_is_no_module_is_refused(with_modules):
    with pytest.raises(taut.InputError, match="got a function"):
        taut.from_torch(lambda x: x)


def test_what_is_no_module_goes_through_without_pytorch():
    for given in (jnp.tanh, None, Module().encode):
        assert jax_function(given, "encode") is given


def test_a_module_and_its_methods_are_known_by_the_class(with_modules):
    assert is_torch(Module())
    assert is_torch(Module().encode)
    assert not is_torch(Module)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(taut.InputError, match=r"PyTorch.*Try `pip install 'taut\[torch\]'`"):
        taut.from_torch(Module())


def test_a_file_that_needs_the_extra_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    file = tmp_path / "judge.py"
    file.write_text("import torch\n")
    with pytest.raises(
        taut.InputError, match=r"ModuleNotFoundError.*Try `pip install 'taut\[torch\]'`"
    ):
        load_program(f"{file}:judge")
