"""Indices that point outside of what they index, where JAX reads another cell and says nothing.

    x[i], i beyond the last     the last cell
    x[i], i = -1                the last cell, as in NumPy; in data -1 means that there is none
    jnp.take(x, i)              nan

The trace of a program is run again with an eye on each operation that gathers. Indices that no latent
enters are computed, and compared with the sizes of what they index. One that is out of range is a fault
only if the log-density moves with the cell that it reads: rows that a mask or a `jnp.where` hides may be
padded with anything. Modes that an author writes ("clip", "fill" with a value) are an author's wish.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.lax import GatherScatterMode
from jaxtyping import Array, PRNGKeyArray

from taut.core.compiling import shared_jit
from taut.errors import InputError
from taut.models.program.dependence import computed
from taut.models.program.supports import Site

__all__ = ["check_indices"]

# Operations that hold one function and apply it once.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2")
_CALLS += ("checkpoint", "custom_vjp_call_jaxpr")


class _Gather(NamedTuple):
    """One operation that gathers by indices that no latent enters.

    Attributes:
        indices: (..., K), one line for each slice that is read.
        last: (K,), the largest index in range.
        axes: (K,), axes of the operand.
        shape: of the operand.
        data: numbers of the data's leaves that enter the indices.
        operand: what enters that which is indexed: numbers of the data's leaves, names of latents.
        number: the how manieth gather it is.
        loop: the number of the first gather of the loop that it stands in; None outside of loops.
    """

    indices: Any
    last: np.ndarray
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    data: frozenset[int]
    operand: frozenset[int | str]
    number: int
    loop: int | None


def check_indices(
    density: Callable[[Any, Any], list[Array]],
    data: dict[str, Any],
    values: Callable[[PRNGKeyArray], dict[str, Array]],
    *,
    sites: Sequence[Site],
    plates: dict[str, int],
    where: str,
) -> None:
    """Whether indices from data are in range, wherever the log-density depends on what they read.

    Arguments:
        density: of the data and the latents, in parts.
        data: arrays by name.
        values: random values of everything latent, by name.
        sites: the continuous latents.
        plates: sizes by name.
        where: the program, for messages.

    Raises:
        InputError: one is not.
    """
    paths = jax.tree_util.tree_flatten_with_path(data)[0]
    arrays = {"', '".join(str(part.key) for part in path): leaf for path, leaf in paths}
    flat, key = [*arrays.values()], jax.random.key(0)
    latents = jax.eval_shape(values, key)
    closed = jax.make_jaxpr(density)(data, latents)
    if not _gathers(closed.jaxpr):
        return
    labels: list[int | str] = [*range(len(flat)), *sorted(latents)]
    found: list[_Gather] = []

    def indices(*arguments: Any) -> list[Any]:
        found.clear()
        _Watch(labels, found).run(closed, arguments)
        return [gather.indices for gather in found]

    # No latent enters an index, so that any values do.
    blank = [np.zeros(latents[name].shape, latents[name].dtype) for name in sorted(latents)]
    traced = jax.make_jaxpr(indices)(*flat, *blank)
    every = computed(traced, [True] * len(found), [*flat, *blank])
    for gather, at in zip(found, every, strict=True):
        bad = _out_of_range(gather, at)
        if not bad.any():
            continue
        some = shared_jit(values)(key)
        arguments = [*flat, *(some[name] for name in sorted(latents))]
        if _matters(closed, arguments, labels, gather, np.asarray(bad.any(axis=-1))):
            what = _indexed(gather, bad, [*arrays], sites, plates)
            raise _refused(gather, at, bad, what, arrays, where)


def _out_of_range(gather: _Gather, at: np.ndarray) -> np.ndarray:
    """Which indices are out of range; an author's own may count from the end."""
    if not gather.data:
        at = np.where(at < 0, at + [gather.shape[axis] for axis in gather.axes], at)
    return (at < 0) | (at > gather.last)


def _matters(
    closed: Any, arguments: list[Any], labels: list[int | str], gather: _Gather, bad: np.ndarray
) -> bool:
    """Whether the density moves with the slices that a gather reads out of range."""

    def parts(flag: Array, *arguments: Any) -> list[Array]:
        return _Watch(labels, [], changed=(gather, flag & bad)).run(closed, arguments)

    evaluate = shared_jit(parts)
    before, after = (evaluate(np.asarray(flag), *arguments) for flag in (False, True))
    pairs = zip(before, after, strict=True)
    return not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


class _Watch:
    """Runs a trace again; keeps what gathers by data, or changes what one of these reads.

    Attributes:
        labels: of the arguments: numbers of the data's leaves, names of latents.
        found: the gathers, in order.
        changed: one of them, and which of its slices to change.
    """

    def __init__(
        self,
        labels: list[int | str],
        found: list[_Gather],
        changed: tuple[_Gather, Array] | None = None,
    ):
        self.labels, self.found, self.changed = labels, found, changed
        self.loop: int | None = None
        self.made: dict[int, tuple[str, list[Any], Any]] = {}

    def run(self, closed: Any, arguments: Sequence[Any]) -> list[Any]:
        """The trace's results."""
        sources = [frozenset([label]) for label in self.labels]
        return self._eval(closed.jaxpr, closed.consts, arguments, sources)[0]

    def _eval(
        self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], sources: Sequence[Any]
    ) -> tuple[list[Any], list[frozenset[int | str]]]:
        known: dict[Any, tuple[Any, frozenset[int | str]]] = {}
        for variable, value in zip(jaxpr.constvars, consts, strict=True):
            known[variable] = value, frozenset()
        for variable, *pair in zip(jaxpr.invars, arguments, sources, strict=True):
            known[variable] = tuple(pair)  # pyright: ignore[reportArgumentType]

        def read(variable: Any) -> tuple[Any, frozenset[int | str]]:
            return (variable.val, frozenset()) if _is_literal(variable) else known[variable]

        for equation in jaxpr.eqns:
            pairs = [read(variable) for variable in equation.invars]
            values, origins = [value for value, _ in pairs], [origin for _, origin in pairs]
            inner = _called(equation)
            if inner is not None:
                results, reached = self._eval(*inner, values, origins)
            else:
                results = self._applied(jaxpr, equation, values, origins)
                reached = [frozenset().union(*origins)] * len(results)
            for variable, *pair in zip(equation.outvars, results, reached, strict=True):
                known[variable] = tuple(pair)  # pyright: ignore[reportArgumentType]
        ends = [read(variable) for variable in jaxpr.outvars]
        return [value for value, _ in ends], [origin for _, origin in ends]

    def _applied(
        self, jaxpr: Any, equation: Any, values: list[Any], origins: list[Any]
    ) -> list[Any]:
        name = equation.primitive.name
        if name == "scan" and self.loop is None and _gathers(equation.params["jaxpr"].jaxpr):
            return self._scanned(equation.params, values, origins)
        if name == "select_n" and self.changed is None:
            plain = self._not_wrapped(values)
            if plain is not None:
                return [plain]
        known = {v: a for v, a in zip(equation.invars, values, strict=True) if not _is_literal(v)}
        alone = jaxpr.replace(
            constvars=[], invars=[*known], outvars=equation.outvars, eqns=[equation]
        )
        results = list(eval_jaxpr(alone, [], *known.values()))
        if _is_silent(equation):
            results = [self._watched(equation, values, origins, results[0])]
        # With what was made, as an id is free again once its value is gone.
        self.made |= {id(result): (name, values, result) for result in results}
        return results

    def _not_wrapped(self, values: list[Any]) -> Any:
        """i, where an operation is JAX's way from i to i + n if i < 0; None where it is another one."""
        if len(values) != 3:
            return None
        below, index, wrapped = values
        test, operands, _ = self.made.get(id(below), ("", [], None))
        added, terms, _ = self.made.get(id(wrapped), ("", [], None))
        if test != "lt" or added != "add" or operands[0] is not index:
            return None
        term = terms[0]
        if self.made.get(id(term), ("",))[0] == "convert_element_type":
            term = self.made[id(term)][1][0]
        return index if term is index else None

    def _watched(self, equation: Any, values: list[Any], origins: list[Any], result: Any) -> Any:
        """What is gathered, after a look at the indices."""
        shape, size = jnp.shape(values[0]), np.asarray(equation.params["slice_sizes"])
        if equation.primitive.name == "gather":
            numbers = equation.params["dimension_numbers"]
            indices, axes = values[1], tuple(numbers.start_index_map)
            rest = [i for i in range(jnp.ndim(result)) if i in numbers.offset_dims]
        else:
            indices, axes = (
                jnp.stack([jnp.asarray(v, int) for v in values[1:]]),
                (*range(len(shape)),),
            )
            rest = [*range(len(shape))]
        entering = frozenset().union(*origins[1:])
        if any(isinstance(label, str) for label in entering):
            return result
        number = len(self.found)
        last = np.asarray([shape[axis] - size[axis] for axis in axes])
        gather = _Gather(indices, last, axes, shape, entering, origins[0], number, self.loop)
        self.found.append(gather)
        if self.changed is None or self.changed[0].number != number:
            return result
        other = ~result if result.dtype == bool else jnp.nan_to_num(result) + 1
        return jnp.where(jnp.expand_dims(self.changed[1], rest), other, result)

    def _scanned(self, params: dict[str, Any], values: list[Any], origins: list[Any]) -> list[Any]:
        """A loop over rows, whose gathers are kept with the indices of all rows."""
        closed, first = params["jaxpr"], len(self.found)
        consts, carried = _entering(params)
        ends = consts + carried
        moving = frozenset(["carried"])  # as latents may be
        sources = [*origins[:consts], *[moving] * carried, *origins[ends:]]
        whole, self.loop = self.changed, first
        away = whole[1] if whole is not None and whole[0].loop == first else None

        def step(carry: list[Any], rows: Any) -> tuple[list[Any], Any]:
            del self.found[first:]
            if whole is not None and away is not None:
                self.changed = whole[0], rows[1]
            arguments = [*values[:consts], *carry, *rows[0]]
            results, _ = self._eval(closed.jaxpr, closed.consts, arguments, sources)
            kept = [gather.indices for gather in self.found[first:]]
            return results[: len(carry)], (results[len(carry) :], kept)

        carry, (rows, every) = jax.lax.scan(
            step, values[consts:ends], (values[ends:], away),
            length=params["length"], reverse=params["reverse"],
        )  # fmt: skip
        self.changed, self.loop = whole, None
        for place, indices in enumerate(every, start=first):
            self.found[place] = self.found[place]._replace(indices=indices)
        return [*carry, *rows]


def _entering(params: dict[str, Any]) -> tuple[int, int]:
    """How many constants and carried values enter a scan; a tree says so from JAX 0.12 on."""
    if "ft_in" in params:
        consts, carried, _ = (len(list(part)) for part in params["ft_in"].unpack())
        return consts, carried
    return params["num_consts"], params["num_carry"]


def _is_literal(variable: Any) -> bool:
    return hasattr(variable, "val")


def _called(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """The function that an operation applies once, and its constants."""
    if equation.primitive.name not in _CALLS:
        return None
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if (inner := equation.params.get(name)) is not None:
            return (inner.jaxpr, inner.consts) if hasattr(inner, "jaxpr") else (inner, ())
    return None


def _gathers(jaxpr: Any) -> bool:
    """Whether a trace has an operation that gathers in silence, at any depth that is looked at."""
    for equation in jaxpr.eqns:
        inner = _called(equation)
        if equation.primitive.name == "scan":
            inner = equation.params["jaxpr"].jaxpr, ()
        if _gathers(inner[0]) if inner else _is_silent(equation):
            return True
    return False


def _is_silent(equation: Any) -> bool:
    """Whether an operation reads some other cell where an index is out of range, or nan."""
    if equation.primitive.name != "gather":
        return equation.primitive.name == "dynamic_slice"
    mode, fill = equation.params["mode"], equation.params["fill_value"]
    if mode == GatherScatterMode.CLIP:  # of x[i] for one row under vmap, which is a slice
        return not equation.params["dimension_numbers"].collapsed_slice_dims
    dtype = equation.invars[0].aval.dtype
    unsaid = jnp.iinfo(dtype).min if jnp.issubdtype(dtype, jnp.integer) else None
    return (
        mode == GatherScatterMode.PROMISE_IN_BOUNDS
        or fill is None
        or bool(fill != fill or fill == unsaid)
    )


def _indexed(
    gather: _Gather,
    bad: np.ndarray,
    names: list[str],
    sites: Sequence[Site],
    plates: dict[str, int],
) -> str:
    """What is indexed: a plate or a latent of its size, else data, else an array."""
    axis = gather.axes[int(np.argwhere(bad)[0][-1])]
    size = gather.shape[axis]
    own = [site for site in sites if site.name in gather.operand and size in site.shape]
    for site in reversed(own):
        for plate in site.plates:
            if plates.get(plate) == size:
                return f"plate '{plate}'"
    if own:
        return f"latent '{own[-1].name}'"
    read = [names[label] for label in gather.operand if isinstance(label, int)]
    return f"data '{read[0]}'" if len(read) == 1 else f"an array of {size}"


def _refused(
    gather: _Gather, at: np.ndarray, bad: np.ndarray, what: str, arrays: dict[str, Any], where: str
) -> InputError:
    """The message about the first index out of range."""
    cell = tuple(int(i) for i in np.argwhere(bad)[0])
    indices, size = at[..., cell[-1]], int(gather.last[cell[-1]]) + 1
    names = [f"'{name}'" for number, name in enumerate(arrays) if number in gather.data]
    name = " and ".join(names)
    raw = [np.ravel(a) for number, a in enumerate(arrays.values()) if number in gather.data]
    plain = len(raw) == 1 and np.array_equal(raw[0], indices.ravel())
    if plain and indices.min() == 1 and indices.max() == size:
        remedy = f"{name} - 1 (indices count from 0)"
    elif at[cell] < 0:
        remedy = (
            f"leaving out or masking rows without an index, or % {size} where it is meant to wrap"
        )
    else:
        remedy = "an array or a plate that is large enough, or correcting the index (from 0)"
    return InputError(
        f"an index from 0 to {size - 1} of {what}",
        f"{at[cell]}{f' in row {cell[0] + 1}' if len(cell) > 1 else ''}",
        remedy,
        where=f"data {name}" if name else where,
    )
