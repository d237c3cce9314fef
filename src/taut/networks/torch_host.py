"""A PyTorch module's copy that is asked for batches of NumPy rows: its values, and autograd's products.

What no function of one row is, such as a module that draws noise, is refused when it is first given rows
of a shape; what autograd cannot follow, when a derivative is first asked for. PyTorch is handed in.
"""

import copy
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from taut.core.host_function import AbstractHostFunction, Way
from taut.errors import InputError, counted, option

__all__ = ["HostedModule", "Probed"]

_DIFFERS = 1e-3  # of the largest output: above rounding, below what noise and other rows do
_LONGEST = 160  # characters of PyTorch's own message


class Probed(NamedTuple):
    """What a module makes of rows of a shape.

    Attributes:
        outputs: shapes for one row.
        single: whether it returns one tensor, and no tuple.
        varies: which outputs differ between two rows.
    """

    outputs: tuple[tuple[int, ...], ...]
    single: bool
    varies: tuple[bool, ...]


class HostedModule(AbstractHostFunction):
    """A module's copy, asked for batches of rows.

    Arguments:
        torch: the package.
        given, read, shape: as of `from_torch`.
        where: what messages are about.
    """

    def __init__(self, torch: Any, given: Any, read: Any, shape: Any, where: str):
        self._torch, self._read, self._where = torch, read, where
        self._shape = None if shape is None else tuple(int(size) for size in shape)
        owner = getattr(given, "__self__", given)
        self._name = f"{type(owner).__name__}"
        with torch.inference_mode(False):
            self._module = self._copied(owner)
        self._forward = (
            self._module if owner is given else types.MethodType(given.__func__, self._module)
        )
        held = [*self._module.parameters(), *self._module.buffers()]
        real = [tensor for tensor in held if tensor.is_floating_point()]
        self._device, self._dtype = self._one_device(held), real[0].dtype if real else None
        self._known: dict[tuple[int, ...], Probed] = {}
        self._checked: set[tuple[tuple[int, ...], Way]] = set()

    def outputs(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        return self.probed(shape).outputs

    def probed(self, shape: tuple[int, ...]) -> Probed:
        """What comes of rows of a shape, which is tried once.

        Raises:
            InputError: nothing that is a function of one row.
        """
        if shape not in self._known:
            self._known[shape] = self._probe(shape)
        return self._known[shape]

    def check(self, shape: tuple[int, ...], way: Way) -> None:
        if (shape, way) in self._checked:
            return
        x, probed = _two_rows(shape), self.probed(shape)
        units = [np.ones((2, *output)) for output in probed.outputs]
        try:
            linked = self._pushed(x, x)[1] if way == "push" else self._pulled(x, units)[1]
        except Exception as error:  # whatever an operation without a derivative raises
            forward = way == "push"
            raise InputError(
                f"a module that autograd differentiates {'forward' if forward else 'backward'}",
                _told(error),
                f"{option('geometry', 'plain')}, which needs no such derivatives" if forward
                else f"a black box ({option('black_box', True)})", where=self._where,
            ) from error  # fmt: skip
        if any(v and not one for v, one in zip(probed.varies, linked, strict=True)):
            raise InputError(
                "outputs that autograd follows back to the rows",
                f"some of {self._name} that are cut off from them, as by detach or no_grad",
                "a method without it", where=self._where,
            )  # fmt: skip
        self._checked.add((shape, way))

    def value(self, x: np.ndarray) -> Sequence[np.ndarray]:
        with self._torch.no_grad():
            found, _ = self._outputs(self._rows(x))
        return [_array(output, x.dtype) for output in found]

    def push(self, x: np.ndarray, v: np.ndarray) -> Sequence[np.ndarray]:
        return self._pushed(x, v)[0]

    def pull(self, x: np.ndarray, *u: np.ndarray) -> Sequence[np.ndarray]:
        return [self._pulled(x, u)[0]]

    def _pushed(self, x: np.ndarray, v: np.ndarray) -> tuple[list[np.ndarray], list[bool]]:
        """J v, and which outputs depend on the rows."""
        forward = self._torch.autograd.forward_ad
        with self._differentiating(), forward.dual_level():
            found, _ = self._outputs(forward.make_dual(self._rows(x), self._rows(v)))
            parts = [forward.unpack_dual(output) for output in found]
            moved = [np.zeros(p.primal.shape, x.dtype) if p.tangent is None
                     else _array(p.tangent, x.dtype) for p in parts]  # fmt: skip
        return moved, [part.tangent is not None for part in parts]

    def _pulled(self, x: np.ndarray, u: Sequence[np.ndarray]) -> tuple[np.ndarray, list[bool]]:
        """J^T u, and which outputs depend on the rows."""
        with self._differentiating():
            rows = self._rows(x).requires_grad_(True)
            found, _ = self._outputs(rows)
            linked = [output.requires_grad for output in found]
            weights = [self._tensor(each) for each in u]
            pairs = [(o, w) for o, w in zip(found, weights, strict=True) if o.requires_grad]
            if not pairs:
                return np.zeros_like(x), linked
            (slope,) = self._torch.autograd.grad(
                [output for output, _ in pairs], rows, [weight for _, weight in pairs],
                allow_unused=True,
            )  # fmt: skip
        if slope is None:
            return np.zeros_like(x), linked
        return _array(slope, x.dtype).reshape(x.shape), linked

    @contextmanager
    def _differentiating(self) -> Iterator[None]:
        """Also where the caller, or this thread, has turned autograd off."""
        with self._torch.inference_mode(False), self._torch.enable_grad():
            yield

    def _tensor(self, array: np.ndarray) -> Any:
        real = self._dtype or getattr(self._torch, array.dtype.name)
        return self._torch.tensor(array, dtype=real, device=self._device)

    def _rows(self, x: np.ndarray) -> Any:
        return self._tensor(x if self._shape is None else x.reshape((len(x), *self._shape)))

    def _outputs(self, rows: Any) -> tuple[list[Any], bool]:
        """The tensors that the module returns, and whether that is one and no tuple."""
        found = self._forward(rows)
        found = found if self._read is None else self._read(found)
        if self._torch.is_tensor(found):
            return [found], True
        if isinstance(found, tuple | list) and found and all(map(self._torch.is_tensor, found)):
            return list(found), False
        names = f" of {', '.join(map(str, found))}" if isinstance(found, dict) else ""
        first = next((str(name) for name in found), "x") if isinstance(found, dict) else "0"
        raise InputError(
            "a tensor or a tuple of tensors for a batch of rows",
            f"a {type(found).__name__}{names} from {self._name}",
            f"taut.from_torch(module, read=lambda out: out[{first!r}])" if names
            else "taut.from_torch(module, read=lambda out: ...), which makes one of it",
            where=self._where,
        )  # fmt: skip

    def _copied(self, owner: Any) -> Any:
        try:
            return copy.deepcopy(owner).eval().requires_grad_(False)
        except Exception as error:  # of tensors that hang on a graph, of locks
            raise InputError(
                "a module that Python can copy", _told(error),
                "one made anew, with the same state_dict", where=self._where,
            ) from error  # fmt: skip

    def _one_device(self, held: list[Any]) -> Any:
        places = sorted({str(tensor.device) for tensor in held})
        if len(places) > 1 or places == ["meta"]:
            raise InputError(
                "a module whose parameters are on one device, with values", " and ".join(places),
                "module.to('cpu')" if len(places) > 1 else "loading its weights first",
                where=self._where,
            )  # fmt: skip
        return places[0] if places else "cpu"

    def _probe(self, shape: tuple[int, ...]) -> Probed:
        if self._shape is not None and np.prod(self._shape) != np.prod(shape):
            raise InputError(
                f"rows with {counted(int(np.prod(self._shape)), 'cell')}, as the module takes "
                f"{self._shape}",
                f"rows of shape {shape}", "the shape in which the module takes a row",
                where=self._where,
            )  # fmt: skip
        x = _two_rows(shape)
        try:
            with self._torch.no_grad():
                found, single = self._outputs(self._rows(x))
        except InputError:
            raise
        except Exception as error:  # whatever the module raises
            raise InputError(
                f"a module that takes a batch of rows, here of shape {tuple(self._rows(x).shape)}",
                _told(error),
                f"taut.from_torch(module, shape=(1, {', '.join(map(str, shape))})) or the shape that "
                "it takes a row in", where=self._where,
            ) from error  # fmt: skip
        for output in found:
            if output.shape[:1] != (2,) or not output.is_floating_point():
                raise InputError(
                    "real numbers for each of two rows, whose axis comes first",
                    f"{str(output.dtype).removeprefix('torch.')} of shape {tuple(output.shape)}",
                    "taut.from_torch(module, read=lambda out: ...), which picks them",
                    where=self._where,
                )  # fmt: skip
        values = [_array(output, np.float64) for output in found]
        if not all(map(_alike, values, self.value(x.astype(np.float64)))):
            raise self._no_function("the same for the same rows", "what differs from call to call")
        other = np.stack([x[0], 1 - x[0]]).astype(np.float64)
        if not all(_alike(a[0], b[0]) for a, b in zip(values, self.value(other), strict=True)):
            raise self._no_function("for a row what depends on it alone", "what other rows change")
        varies = tuple(not np.array_equal(value[0], value[1]) for value in values)
        return Probed(tuple(value.shape[1:] for value in values), single, varies)

    def _no_function(self, expected: str, got: str) -> InputError:
        """The message, with the parts that are in training or take averages over the batch."""
        named = [
            f"{name or 'itself'} ({type(part).__name__})"
            for name, part in self._module.named_modules()
            if part.training or getattr(part, "track_running_stats", True) is False
        ]
        by = f", with {', '.join(named[:4])} as in training" if named else ""
        return InputError(
            f"a module that returns {expected}", f"{got}{by}",
            "evaluation mode for these parts" if named
            else "the part before its draws, such as the encoder of a VAE", where=self._where,
        )  # fmt: skip


def _two_rows(shape: tuple[int, ...]) -> np.ndarray:
    """Two rows within [0, 1), where most data and most functions are."""
    return np.random.default_rng(0).random((2, *shape), np.float32)


def _array(tensor: Any, dtype: Any) -> np.ndarray:
    wide = tensor.detach().cpu()
    return (wide.double() if wide.dtype.itemsize < 4 else wide).numpy().astype(dtype)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    scale = np.max(np.abs(np.nan_to_num(a)), initial=0.0)
    return np.allclose(a, b, rtol=0, atol=_DIFFERS * scale, equal_nan=True)


def _told(error: Exception) -> str:
    """The first line of a message, with the name of its kind."""
    line = (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
    return f"{type(error).__name__}: {line[:_LONGEST]}"
