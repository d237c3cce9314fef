"""A PyTorch module as a JAX function of one row: its own forward pass, and autograd's derivatives of it.

    f(x) = read(module(x[None]))[0]          J^T u by backward, J v by forward-mode autograd

The module is copied once, in evaluation mode: dropout is off, batch normalization uses its averages, and
whatever becomes of the module afterwards changes nothing. The copy stays on the module's device and in
the type of its parameters; rows are brought there in batches, and what it returns comes back in the
type of the rows. What no function of one row is, such as a module that draws noise, is refused when it
is first given rows of a shape. There are no second derivatives.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from taut.core.host_function import on_host
from taut.errors import InputError
from taut.networks.torch_host import HostedModule

__all__ = ["TorchFunction", "from_torch", "is_torch", "jax_function"]


class TorchFunction(eqx.Module):
    """A module's forward pass, of one row.

    Attributes:
        hosted: the module; equal to itself alone.
    """

    hosted: HostedModule = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """What the module returns for one row, without the axis over rows: an array, or a tuple."""
        given = jnp.asarray(x)
        if not jnp.issubdtype(given.dtype, jnp.floating):
            given = given.astype(jnp.result_type(float))
        found = on_host(self.hosted, given)
        return found[0] if self.hosted.probed(given.shape).single else found

    def of_rows(self, x: np.ndarray) -> np.ndarray:
        """What a module of one output returns for many rows, without derivatives."""
        self.hosted.probed(x.shape[1:])
        return self.hosted.value(x)[0]


def from_torch(
    module: Any,
    *,
    read: Callable[[Any], Any] | None = None,
    shape: Sequence[int] | None = None,
) -> TorchFunction:
    """A PyTorch module as a JAX function of one row or one latent, with its first derivatives.

    Arguments:
        module: a `torch.nn.Module` of one batch of rows, or a method of one, such as `vae.encode`; it
            stays as it is.
        read: PyTorch function of what the module returns, to a tensor or a tuple of tensors, each with
            the batch's axis first; None where the module returns that itself.
        shape: of a row as the module takes it, such as (1, 28, 28); None for the data's own.

    Returns:
        a function for `encode` and `decode` of `taut.wrap_model` and for the classifier of
        `taut.counterfactuals.search`, which take a module itself, too.

    Raises:
        InputError: PyTorch is not installed; no module; one on several devices. When the function is
            used: rows that the module does not take; outputs that are no tensors, depend on other rows,
            or differ from call to call; derivatives that autograd does not have.

    Example:
        ```python
        encode = taut.from_torch(vae.encoder, read=lambda out: (out[0], (0.5 * out[1]).exp()))
        ```
    """
    return _function(module, read, shape, "from_torch")


def is_torch(value: Any) -> bool:
    """Whether something is a PyTorch module or a method of one; PyTorch is not imported for it."""
    found = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", None)
    return found is not None and isinstance(getattr(value, "__self__", value), found)


def jax_function(value: Any, where: str) -> Any:
    """A PyTorch module as a function of one row, anything else as it is; `where` is for messages."""
    return _function(value, None, None, where) if is_torch(value) else value


def _function(
    module: Any, read: Callable[[Any], Any] | None, shape: Sequence[int] | None, where: str
) -> TorchFunction:
    try:
        import torch  # pyright: ignore[reportMissingImports]  an extra
    except ImportError as error:
        raise InputError(
            "PyTorch, which runs its modules", f"{error}".rstrip("."), "`pip install 'taut[torch]'`",
            where=where,
        ) from None  # fmt: skip
    if not is_torch(module):
        raise InputError(
            "a torch.nn.Module, or a method of one", f"a {type(module).__name__}",
            "vae.encoder, vae.decode, or a module whose forward calls the function", where=where,
        )  # fmt: skip
    return TorchFunction(HostedModule(torch, module, read, shape, where))
