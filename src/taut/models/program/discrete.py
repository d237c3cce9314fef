"""Discrete latents of a program, summed out exactly.

    log p(x, theta) = w log sum_g exp( A(g) + sum_n w_n/w log sum_r exp B_n(g, r) )

g runs over the joint values of the discrete latents outside of plates, r over those of one row of the
plate that holds the others; A and B_n add up the sites whose density depends on them. The sum over
rows stands outside of the sum over r because rows are independent given g and the continuous latents:
N rows of R values cost N R evaluations, not R^N. Whether they are is checked on the program.

w and w_n are the scales of the latents of a sum (`handlers.scale`; N/B in a minibatch of their plate). A
scale counts repetitions, so that it stands outside of the sum: a row of weight 2 is two rows, each with
a latent of its own. Sites in the same plates must have the same scale. Those in further plates repeat
under one value of the latent, and their scale relative to the latent's stands inside of the sum.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from taut.core.compiling import shared_jit
from taut.errors import InputError

__all__ = ["Cells", "Choice", "Enumeration", "Finite", "Sites", "choose", "enumerated", "is_finite"]


class Cells(NamedTuple):
    """What a site adds to a log-density.

    Attributes:
        log_prob: nats, cell by cell, unscaled.
        scale: of each cell; broadcasts to it.
    """

    log_prob: Float[Array, "..."]
    scale: Any

    def relative(self, weight: Any) -> Float[Array, "..."]:
        """Nats, cell by cell, where the sum that they enter has a weight outside of it."""
        return _ratio(self.scale, weight) * self.log_prob


# For each discrete latent the numbers of its values, of its batch shape or less.
Choice = dict[str, Any]
Sites = dict[str, dict[str, Any]]

_MOST = 1024  # joint values


class Finite(NamedTuple):
    """A discrete latent with finitely many values.

    Attributes:
        name: of the site.
        num_values: V.
        shape: of its batch, with 1 along the plates around it.
        dims: axes of these plates, negative and ascending.
        sizes: of these plates.
        plates: their names.
    """

    name: str
    num_values: int
    shape: tuple[int, ...]
    dims: tuple[int, ...]
    sizes: tuple[int, ...]
    plates: tuple[str, ...]

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Of its batch, rows of plates included."""
        full = list(self.shape)
        for dim, size in zip(self.dims, self.sizes, strict=True):
            full[dim] = size
        return tuple(full)

    def any_by_row(self, cells: Bool[Array, "..."]) -> Bool[Array, "..."]:
        """Which rows of its plates hold a true cell of another site; broadcasts to its shape."""
        kept = {cells.ndim + dim for dim in self.dims}
        found = cells.any(axis=tuple(i for i in range(cells.ndim) if i not in kept))
        rows = [1] * len(self.shape)
        for dim, size in zip(self.dims, found.shape, strict=True):
            rows[dim] = size
        return found.reshape(rows)

    @classmethod
    def of(cls, name: str, site: dict[str, Any]) -> "Finite":
        """What a traced site is."""
        fn, frames = site["fn"], sorted(site["cond_indep_stack"], key=lambda frame: frame.dim)
        shape = list(fn.batch_shape)
        for frame in frames:
            shape[frame.dim] = 1
        return cls(
            name,
            len(fn.enumerate_support(expand=False)),
            tuple(shape),
            tuple(frame.dim for frame in frames),
            tuple(frame.size for frame in frames),
            tuple(frame.name for frame in frames),
        )


def is_finite(fn: Any) -> bool:
    """Whether a distribution is discrete and can list its values."""
    return bool(fn.support.is_discrete and fn.has_enumerate_support)


def choose(msg: dict[str, Any], choice: Choice) -> Array:
    """The value of a discrete latent by its number; the first value where there is none."""
    fn = msg["fn"]
    values = fn.enumerate_support(expand=False)
    values = values.reshape(len(values), *fn.event_shape)
    picked = values[jnp.asarray(choice.get(msg["name"], 0))]
    return jnp.broadcast_to(picked, fn.shape())


@dataclass(frozen=True, eq=False)
class Enumeration:
    """How the discrete latents of a program are summed out.

    Attributes:
        shared: those outside of plates.
        local: those inside of one plate, or of the same plates.
        by_shared: sites whose density depends on shared ones but on no local one.
        by_local: sites whose density depends on local ones.
        moving: names of what the program computes from discrete latents.
    """

    shared: tuple[Finite, ...]
    local: tuple[Finite, ...]
    by_shared: tuple[str, ...]
    by_local: tuple[str, ...]
    moving: tuple[str, ...]

    @property
    def touched(self) -> frozenset[str]:
        """Sites whose density depends on a discrete latent."""
        return frozenset(self.by_shared + self.by_local)

    def marginal(
        self,
        run: Callable[[Choice], dict[str, Cells]],
    ) -> tuple[Float[Array, ""], Float[Array, "..."]]:
        """The touched sites' log-density with discrete latents summed out, and its rows.

        Arguments:
            run: from a choice to what each site adds.

        Returns:
            nats in all; and by row, unscaled, where there are local ones and no shared ones.
        """

        def given_shared(g: Array) -> tuple[Array, Array, Array]:
            def given_both(r: Array) -> tuple[Array, Array, Array, Array]:
                sites = run(_choice(self.shared, g) | _choice(self.local, r))
                whole, by_row = _weight(sites, self.shared), _weight(sites, self.local)
                alone = [sites[n].relative(whole).sum() for n in self.by_shared]
                dims = self.local[0].dims if self.local else ()
                rows = [_by_row(sites[n].relative(by_row), dims) for n in self.by_local]
                total = sum(rows[1:], rows[0]) if rows else jnp.zeros(())
                times = _by_row(_ratio(by_row, whole), dims)
                return sum(alone, jnp.zeros(())), total, times, jnp.sum(whole)

            alone, rows, times, whole = jax.vmap(given_both)(jnp.asarray(_table(self.local)))
            rows = jax.nn.logsumexp(rows, axis=0)
            return alone[0] + jnp.sum(times[0] * rows), rows, whole[0]

        each, rows, whole = jax.vmap(given_shared)(jnp.asarray(_table(self.shared)))
        return whole[0] * jax.nn.logsumexp(each), rows[0]

    def check_scales(
        self, sites: dict[str, Cells], plates: dict[str, tuple[str, ...]], where: str
    ) -> None:
        """Whether each sum has one scale.

        Arguments:
            sites: what each touched site adds, at one choice.
            plates: names of the plates around each site.
            where: the program, for messages.

        Raises:
            InputError: a site scaled otherwise than the latent that it is summed with.
        """
        for latents, names in ((self.shared, self.by_shared), (self.local, self.by_local)):
            for name in names if latents else ():
                first, weight = latents[0], _weight(sites, latents)
                alone = set(plates[name]) == set(first.plates)
                if alone and not np.all(np.asarray(_ratio(sites[name].scale, weight)) == 1):
                    raise InputError(
                        f"one scale for '{first.name}' and the sites that are summed with it",
                        f"another one for '{name}'",
                        "one numpyro.handlers.scale around all of them, or MixtureSameFamily in place "
                        f"of '{first.name}'", where=where,
                    )  # fmt: skip

    def check_rows(self, run: Callable[[Choice], dict[str, Cells]], where: str) -> None:
        """Whether every row reads its own discrete latents only.

        Raises:
            InputError: another row's change its density.
        """
        if not self.local:
            return
        generator, table = np.random.default_rng(0), _table(self.local)
        dims, sizes = self.local[0].dims, self.local[0].sizes
        alike = shared_jit(lambda r: _rows(run(_choice(self.local, r)), self.by_local, dims))
        each = np.stack([np.asarray(alike(jnp.asarray(r))) for r in table])
        numbers = generator.integers(len(table), size=sizes)
        mixed = _mixed(self.local, table, numbers)
        found = np.asarray(shared_jit(lambda c: _rows(run(c), self.by_local, dims))(mixed))
        expected = np.take_along_axis(each, numbers[None], axis=0)[0]
        # Sums of like terms in another order differ by rounding alone.
        scale = np.abs(expected).max(where=np.isfinite(expected), initial=1.0)
        tolerance = 1e3 * np.finfo(expected.dtype).eps * scale
        if not np.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
            raise _refused(
                f"rows of plate '{self.local[0].plates[-1]}' that depend on their own discrete latents "
                "only", "rows that depend on those of other rows", where,
            )  # fmt: skip


def enumerated(
    finite: Sequence[Finite],
    depends: Callable[[str], Sequence[str]],
    plates: dict[str, tuple[str, ...]],
    moving: Sequence[str],
    batched: str | None,
    where: str,
) -> Enumeration | None:
    """How discrete latents are summed out; None where there are none.

    Arguments:
        finite: the discrete latents.
        depends: from one's name to the sites whose density depends on it.
        plates: names of the plates around each site.
        moving: what the program computes from discrete latents.
        batched: the plate of which minibatches are taken.
        where: the program, for messages.

    Raises:
        InputError: too many joint values; latents in several plates; a site outside of the plate, or
            in a minibatch of another one, depends on them.
    """
    if not finite:
        return None
    shared = tuple(f for f in finite if not f.dims)
    local = tuple(f for f in finite if f.dims)
    if len({f.plates for f in local}) > 1:
        raise _refused(
            "all discrete latents in one plate, or outside of plates",
            " and ".join(f"'{f.name}' in {', '.join(f.plates)}" for f in local[:2]), where,
        )  # fmt: skip
    count = math.prod(f.num_values ** math.prod(f.shape) for f in finite)
    if count > _MOST:
        names = ", ".join(f"'{f.name}'" for f in finite)
        raise _refused(
            f"at most {_MOST} combinations of values of the discrete latents", f"{count} of {names}",
            where,
        )  # fmt: skip
    by_local = {name for f in local for name in (f.name, *depends(f.name))}
    by_shared = {name for f in shared for name in (f.name, *depends(f.name))} - by_local
    for name in sorted(by_local):
        if not set(local[0].plates) <= set(plates[name]):
            raise _refused(
                f"sites that depend on '{local[0].name}' inside plate '{local[0].plates[-1]}'",
                f"site '{name}' outside it", where,
            )  # fmt: skip
    if batched is not None:
        owned = bool(local) and batched in local[0].plates
        biased = [n for n in sorted(by_shared | by_local) if batched in plates[n]]
        if biased and (shared or not owned):
            raise InputError(
                f"rows of the subsampled plate '{batched}' that depend on no discrete latent outside it",
                f"site '{biased[0]}', whose minibatches would be biased",
                f"no subsampling of '{batched}'", where=where,
            )  # fmt: skip
    return Enumeration(
        shared, local, tuple(sorted(by_shared)), tuple(sorted(by_local)), tuple(moving)
    )


def _refused(expected: str, got: str, where: str) -> InputError:
    return InputError(
        expected, got,
        "numpyro.plate around independent ones, or summing them out in the program; score-function "
        "gradients of a guide over them (RLOO, VIMCO) are not part of taut.infer",
        where=where,
    )  # fmt: skip


def _table(finite: Sequence[Finite]) -> np.ndarray:
    """All joint values, one a line: (R, cells)."""
    cells = [range(f.num_values) for f in finite for _ in range(math.prod(f.shape))]
    lines = list(itertools.product(*cells))
    return np.asarray(lines, np.int32).reshape(len(lines), len(cells))


def _choice(finite: Sequence[Finite], line: Any) -> Choice:
    """A line of the table as a choice that all rows share."""
    sizes = [math.prod(f.shape) for f in finite]
    parts = np.cumsum([0, *sizes])
    return {
        f.name: line[a:b].reshape(f.shape)
        for f, a, b in zip(finite, parts[:-1], parts[1:], strict=True)
    }


def _mixed(finite: Sequence[Finite], table: np.ndarray, numbers: np.ndarray) -> Choice:
    """A choice of its own for every row: numbers of lines, of the plates' sizes."""
    made: Choice = {}
    for f in finite:
        shape = list(f.shape)
        for dim, size in zip(f.dims, f.sizes, strict=True):
            shape[dim] = size
        line_of = np.ones(len(shape), int)
        for dim, size in zip(f.dims, f.sizes, strict=True):
            line_of[dim] = size
        spread, out = numbers.reshape(line_of), np.zeros(shape, np.int32)
        for number, line in enumerate(table):
            out = np.where(spread == number, _choice(finite, line)[f.name], out)
        made[f.name] = jnp.asarray(out)
    return made


def _weight(sites: dict[str, Cells], latents: Sequence[Finite]) -> Array:
    """The scale of the latents of one sum: of all rows of their plates, with 1 along other axes."""
    if not latents:
        return jnp.ones(())
    first = latents[0]
    log_prob, scale = sites[first.name]
    scale = jnp.broadcast_to(scale, jnp.shape(log_prob))
    inside = [i for i in range(-len(first.shape), 0) if i not in first.dims]
    return scale[tuple(slice(0, 1) if i in inside else slice(None) for i in range(-scale.ndim, 0))]


def _ratio(scale: Any, weight: Any) -> Array:
    """scale / weight; 1 where they are equal, zero or not."""
    scale, weight = jnp.asarray(scale, float), jnp.asarray(weight, float)
    same = scale == weight
    return jnp.where(same, 1.0, scale / jnp.where(same, 1.0, weight))


def _rows(sites: dict[str, Cells], names: Sequence[str], dims: tuple[int, ...]) -> Array:
    rows = [_by_row(sites[name].log_prob, dims) for name in names]
    return sum(rows[1:], rows[0])


def _by_row(log_prob: Array, dims: tuple[int, ...]) -> Array:
    """A site's log-probability summed over all axes but those of the plates."""
    kept = {log_prob.ndim + dim for dim in dims}
    return log_prob.sum(axis=tuple(i for i in range(log_prob.ndim) if i not in kept))
