"""A PyTorch module as a JAX function of one row, by torchax: its own forward pass, traced to XLA.

    f(x) = read(module(x[None]))[0]

Parameters and buffers are copied into JAX arrays once, and nothing is called back into PyTorch when the
function runs. The copy is in evaluation mode: dropout is off, and batch normalization uses its averages.
"""

import copy
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from taut.errors import InputError

__all__ = ["TorchFunction", "from_torch"]


class TorchFunction(eqx.Module):
    """A module's forward pass.

    Attributes:
        states: its parameters and buffers by name.
        forward: from these and a tuple of batches to what the module returns.
    """

    states: dict[str, Any]
    forward: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """What the module returns for one row, without the axis over rows."""
        # PyTorch's modules compute in the type of their parameters.
        types = [leaf.dtype for leaf in self.states.values() if eqx.is_inexact_array(leaf)]
        given = jnp.asarray(x, types[0]) if types else jnp.asarray(x)
        return jax.tree.map(lambda leaf: leaf[0], self.forward(self.states, (given[None],)))


def from_torch(module: Any, *, read: Callable[[Any], Any] | None = None) -> TorchFunction:
    """A PyTorch module as a JAX function of one row or one latent.

    Arguments:
        module: a `torch.nn.Module` of one batch of rows; it stays as it is.
        read: PyTorch function of what the module returns, to a tensor or a tuple of tensors, each with
            the batch's axis first; None where the module returns that itself.

    Returns:
        a callable pytree of arrays, for `encode` and `decode` of `taut.wrap_model`.

    Raises:
        InputError: torchax or PyTorch is not installed; no module.

    Example:
        ```python
        encode = taut.from_torch(vae.encoder, read=lambda out: (out[0], (0.5 * out[1]).exp()))
        ```
    """
    try:
        import torch  # pyright: ignore[reportMissingImports]  an extra
        import torchax  # pyright: ignore[reportMissingImports]
    except (ImportError, AttributeError) as error:  # the second of versions that do not go together
        raise InputError(
            "PyTorch and torchax, which traces its modules into JAX", f"{error}".rstrip("."),
            "`pip install 'taut[torch]'`", where="from_torch",
        ) from None  # fmt: skip
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            "a torch.nn.Module", f"a {type(module).__name__}",
            "vae.encoder and vae.decoder, or a module whose forward calls the function",
            where="from_torch",
        )  # fmt: skip
    copied = copy.deepcopy(module).eval().cpu().requires_grad_(False)
    states, forward = torchax.extract_jax(copied if read is None else _read(torch, copied, read))
    return TorchFunction(dict(states), forward)


def _read(torch: Any, module: Any, read: Callable[[Any], Any]) -> Any:
    """A module that hands its output to a function."""

    class Read(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, x: Any) -> Any:
            return read(self.module(x))

    return Read().eval()
