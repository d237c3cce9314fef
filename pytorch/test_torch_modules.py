"""PyTorch modules as functions of one row, against the same networks in JAX: `make torch-test`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import taut

# Of a decomposition that PyTorch itself scripts when it differentiates forward.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")


def network(*, double: bool = False) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    return made.double() if double else made


def written(module: nn.Module, dtype: str = "float32"):
    """The same network in JAX."""
    w0, b0, w1, b1 = (jnp.asarray(p.detach().numpy(), dtype) for p in module.parameters())
    return lambda x: w1 @ jnp.tanh(w0 @ x + b0) + b1


ROWS = np.random.default_rng(0).normal(size=(6, 5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_both_jacobians_are_those_of_the_network_in_jax(dtype):
    module = network(double=dtype == "float64")
    with jax.enable_x64(dtype == "float64"):
        rows, own = jnp.asarray(ROWS, dtype), written(module, dtype)
        for made in (lambda f: f, jax.jacfwd, jax.jacrev):
            found = jax.jit(jax.vmap(made(taut.from_torch(module))))(rows)
            assert found.dtype == dtype
            np.testing.assert_allclose(
                found,
                jax.vmap(made(own))(rows),
                rtol=1e-4 if dtype == "float32" else 1e-12,
                atol=1e-6,
            )


def test_the_module_stays_as_it_is_and_the_function_as_it_was():
    module = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    function = taut.from_torch(module)
    first = np.asarray(jax.vmap(function)(ROWS.astype(np.float32)))
    jax.grad(lambda x: function(x).sum())(jnp.ones(5))
    assert module.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    with torch.no_grad():
        module[0].weight.zero_()
    np.testing.assert_array_equal(jax.vmap(function)(ROWS.astype(np.float32)), first)


def test_values_and_gradients_under_inference_mode():
    with torch.inference_mode():
        function = taut.from_torch(network())
        slope = jax.jit(jax.grad(lambda x: function(x).sum()))(jnp.ones(5))
    own = written(network())
    np.testing.assert_allclose(slope, jax.grad(lambda x: own(x).sum())(jnp.ones(5)), rtol=1e-5)


def test_images_methods_types_and_tuples():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def encode(self, x):
            found = self.conv(x).relu().flatten(1)
            return found[:, :4], found[:, 4:8].exp()

    net = Net().bfloat16()
    function = taut.from_torch(net.encode, shape=(1, 4, 4))
    mean, scale = jax.vmap(function)(jnp.ones((3, 16)))
    assert mean.shape == scale.shape == (3, 4)
    assert mean.dtype == jnp.float32
    with torch.no_grad():
        wanted = net.encode(torch.ones(3, 1, 4, 4).bfloat16())
    np.testing.assert_array_equal(scale, wanted[1].float().numpy())


class Changing(nn.Module):
    """What forward is, is told."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.said = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self.said(self, x)


REFUSED = {
    "noise": (Changing(lambda s, x: x + torch.randn_like(x)), "differs from call to call"),
    "dropout": (
        Changing(lambda s, x: nn.functional.dropout(x, 0.5, training=True)), "call to call"),
    "batch": (
        Changing(lambda s, x: s.norm(x), norm=nn.BatchNorm1d(5, track_running_stats=False)),
        r"other rows change, with norm \(BatchNorm1d\) as in training"),
    "dictionary": (
        Changing(lambda s, x: {"mean": x, "other": x}), r"a dict of mean, other .*out\['mean'\]"),
    "nothing": (Changing(lambda s, x: None), "a NoneType"),
    "no axis over rows": (Changing(lambda s, x: x.mean()), r"float32 of shape \(\)"),
    "classes": (Changing(lambda s, x: x.argmax(1)), "real numbers.*int64"),
    "its shape": (nn.Linear(7, 2), r"batch of rows, here of shape \(2, 5\).*cannot be multiplied"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_of_a_row_is_refused(name):
    module, message = REFUSED[name]
    with pytest.raises(taut.InputError, match=message) as found:
        jax.vmap(taut.from_torch(module))(ROWS)
    assert "\n" not in str(found.value)


def test_a_module_without_values_is_refused():
    with pytest.raises(taut.InputError, match="on one device, with values, got meta"):
        taut.from_torch(nn.Linear(5, 2, device="meta"))
    with pytest.raises(taut.InputError, match="a function"):
        taut.from_torch(lambda x: x)


class Doubled(torch.autograd.Function):
    """With a derivative backward alone."""

    @staticmethod
    def forward(context, x):
        return 2 * x

    @staticmethod
    def backward(context, slope):
        return 2 * slope


@pytest.mark.parametrize("first", [True, False])
def test_one_output_among_others_that_is_cut_off_is_refused_as_well(first):
    def parts(s, x):
        return (x.detach() ** 2, x**2) if first else (x**2, x.detach() ** 2)

    cut = taut.from_torch(Changing(parts))
    np.testing.assert_array_equal(cut(jnp.full(5, 3.0))[1 - first], 9.0)
    for mode in (jax.jacfwd, jax.jacrev):
        with pytest.raises(taut.InputError, match="cut off from them"):
            mode(cut)(jnp.ones(5))
    constant = taut.from_torch(Changing(lambda s, x: (torch.ones(len(x), 2), x**2)))
    for mode in (jax.jacfwd, jax.jacrev):
        nothing, slope = mode(constant)(jnp.ones(5))
        np.testing.assert_array_equal(nothing, 0)
        np.testing.assert_array_equal(slope, 2 * np.eye(5))


def test_derivatives_that_are_not_there_are_refused_before_a_program_runs():
    cut = taut.from_torch(Changing(lambda s, x: x.detach() ** 2))
    np.testing.assert_array_equal(cut(jnp.full(5, 3.0)), 9.0)
    for mode in (jax.jacfwd, jax.jacrev):
        with pytest.raises(taut.InputError, match="cut off from them"):
            mode(cut)(jnp.ones(5))
    backward = taut.from_torch(Changing(lambda s, x: Doubled.apply(x)))
    np.testing.assert_array_equal(jax.jacrev(backward)(jnp.ones(5)), 2 * np.eye(5))
    with pytest.raises(taut.InputError, match="differentiates forward"):
        jax.jacfwd(backward)(jnp.ones(5))
    constant = taut.from_torch(Changing(lambda s, x: torch.ones(len(x), 2)))
    np.testing.assert_array_equal(jax.jacrev(constant)(jnp.ones(5)), 0)
    np.testing.assert_array_equal(jax.jacfwd(constant)(jnp.ones(5)), 0)
