"""Where each latent of a program stands in the flat vector z.

    z = [ globals, in the program's order | row 1's locals | row 2's locals | ... ]
          num_globals                       num_locals       num_locals

Locals are the latents inside the one plate that is subsampled, in the program's order within each row.
`z[num_globals:].reshape(num_rows, num_locals)` is therefore a table with one line for each row, which a
guide can gather by row number. Without such a plate every latent is global.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.errors import InputError, nearest
from taut.models.program.supports import Site

__all__ = ["Layout", "lay_out", "scalars"]


class _Block(NamedTuple):
    """One latent's free shape, and the axis of it that runs over rows if the latent is local."""

    free_shape: tuple[int, ...]
    axis: int | None

    @property
    def size(self) -> int:
        """How many free coordinates it has: in all if global, for each row if local."""
        rows = 1 if self.axis is None else self.free_shape[self.axis]
        return math.prod(self.free_shape) // rows

    def shaped(self, piece: Array) -> Array:
        """Its piece of z, flat if global and (rows, size) if local, in its free shape."""
        if self.axis is None:
            return piece.reshape(self.free_shape)
        shape = list(self.free_shape)
        rows = shape.pop(self.axis)
        return jnp.moveaxis(piece.reshape(rows, *shape), 0, self.axis)


@dataclass(frozen=True, eq=False)
class Layout:
    """The places of all latents; compared by identity, as constraints cannot be hashed.

    Attributes:
        sites: the latents, in the program's order.
        blocks: the place of each, by name.
        num_globals: coordinates of z shared by all rows.
        num_locals: coordinates of z that each row has to itself.
        num_rows: rows in z.
    """

    sites: tuple[Site, ...]
    blocks: dict[str, _Block]
    num_globals: int
    num_locals: int
    num_rows: int

    @property
    def dim(self) -> int:
        """d, the length of z."""
        return self.num_globals + self.num_rows * self.num_locals

    def is_local(self, name: str) -> bool:
        """Whether a latent belongs to single rows."""
        return self.blocks[name].axis is not None

    def named(self, coordinate: int) -> str:
        """The parameter that a coordinate of z moves: its cell where each has one of its own, as in
        'beta[0]', else its name."""
        places = self.parts(jnp.arange(float(self.dim)))
        site = next(s for s in self.sites if np.any(places[s.name] == coordinate))
        own = np.asarray(places[site.name])
        if own.shape != site.shape:
            return site.name
        return scalars(site.name, site.shape)[int(np.flatnonzero(own == coordinate)[0])]

    def parts(self, z: Float[Array, " d"]) -> dict[str, Array]:
        """The free values of all latents, cut out of z."""
        # One split: its transpose is one concatenation, that of many slices a sum of padded arrays.
        shared = [block for block in self.blocks.values() if block.axis is None]
        local = [block for block in self.blocks.values() if block.axis is not None]
        sizes = [block.size for block in shared]
        *pieces, rest = jax.lax.split(z, [*sizes, z.shape[0] - sum(sizes)])
        columns: Sequence[Array] = ()
        if local:
            table = rest.reshape(self.num_rows, self.num_locals)
            columns = jax.lax.split(table, [block.size for block in local], axis=1)
        shared_values, local_values = iter(pieces), iter(columns)
        return {
            name: block.shaped(next(shared_values if block.axis is None else local_values))
            for name, block in self.blocks.items()
        }

    def joined(self, free: dict[str, Array]) -> Float[Array, " d"]:
        """z from the free values of all latents; the inverse of `parts`."""
        flat, table = [jnp.zeros(0)], []
        for name, block in self.blocks.items():
            value = jnp.broadcast_to(free[name], block.free_shape)
            if block.axis is None:
                flat.append(value.reshape(-1))
            else:
                table.append(jnp.moveaxis(value, block.axis, 0).reshape(self.num_rows, -1))
        if table:
            flat.append(jnp.concatenate(table, axis=1).reshape(-1))
        return jnp.concatenate(flat)

    def checked(self, values: dict[str, Any], where: str) -> dict[str, Array]:
        """Parameters in natural units as arrays of their sites' shapes.

        Raises:
            InputError: a parameter too few or too many, or of another shape.
        """
        for name in values:
            if name not in self.blocks:
                known = nearest(name, self.blocks)
                raise InputError("a latent of the program", f"'{name}'", known, where=where)
        for site in self.sites:
            if site.name not in values or jnp.shape(values[site.name]) != site.shape:
                got = f"shape {jnp.shape(values[site.name])}" if site.name in values else "none"
                wish = f"a value of '{site.name}' of shape {site.shape}"
                raise InputError(wish, got, "a value for each latent", where=where)
        return {site.name: jnp.asarray(values[site.name], float) for site in self.sites}

    def with_supports(self, supports: dict[str, object]) -> "Layout":
        """The same places with other supports for some of the sites."""
        sites = (
            site._replace(support=supports.get(site.name, site.support)) for site in self.sites
        )
        return replace(self, sites=tuple(sites))


def lay_out(
    sites: tuple[Site, ...],
    free_shapes: dict[str, tuple[int, ...]],
    axes: dict[str, int] | None = None,
    *,
    where: str,
) -> Layout:
    """Places for the latents of a program.

    Arguments:
        sites: the latents, in the program's order.
        free_shapes: for each, the shape of what its support's map takes.
        axes: for each local latent, the axis of its value that runs over rows.
        where: the program, for messages.

    Raises:
        InputError: z has no coordinate.
    """
    axes = axes or {}
    blocks, num_globals, num_locals, num_rows = {}, 0, 0, 0
    for site in sites:
        axis = axes.get(site.name)
        block = _Block(free_shapes[site.name], axis)
        blocks[site.name] = block
        if axis is None:
            num_globals += block.size
        else:
            num_locals, num_rows = num_locals + block.size, site.shape[axis]
    layout = Layout(sites, blocks, num_globals, num_locals, num_rows)
    if not layout.dim:
        found = ", ".join(f"'{site.name}' of shape {site.shape}" for site in sites)
        wish = "a latent that can move"
        raise InputError(wish, found, "data or sizes that leave it a cell", where=where)
    return layout


def scalars(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the cells of a value: 'sigma', 'beta[0]', 'L[1,0]'."""
    if not shape:
        return (name,)
    cells = itertools.product(*map(range, shape))
    return tuple(f"{name}[{','.join(map(str, cell))}]" for cell in cells)
