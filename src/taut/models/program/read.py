"""Reading a NumPyro program: its latents, supports, plates and observed sites, without running it.

The program is traced abstractly: no operation is executed. Only the bounds of supports that are computed
(from data or other latents) are evaluated, at two points, which tells the ones that move with z.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from taut.core import Datum
from taut.core.compiling import shared_jit
from taut.core.traced import trace
from taut.errors import InputError, counted
from taut.models.program.arguments import check_names, parted, whole
from taut.models.program.dependence import depends_on_last, reached
from taut.models.program.discrete import Finite, Sites
from taut.models.program.distribution_support import support_of
from taut.models.program.failures import place, reading
from taut.models.program.indices import check_indices
from taut.models.program.layout import Layout, lay_out
from taut.models.program.observed_support import Observation, check_observed, observations
from taut.models.program.reading import Reading
from taut.models.program.subsampled_plate import SubsampledPlate, subsampled_plate
from taut.models.program.summed_out import with_enumeration, with_idle
from taut.models.program.supports import Site, free_shape, onto
from taut.models.program.tracing import factor, is_latent, is_summed, log_prob, plates_of, run
from taut.models.program.wrappers import signature, unjitted

__all__ = ["read"]


def read(
    program: Callable, data: Mapping[str, Any], subsample: dict[str, int] | None
) -> tuple[Reading, dict[str, Any]]:
    """What a program is, and the arrays of its data.

    Raises:
        InputError: anything about the program or the data that cannot be used.
    """
    program, where = unjitted(program), place(program)
    check_names(program, data, where)
    arrays, settings = parted(data)
    traced = _traced(program, arrays, settings)
    sites = traced.sites
    _check(program, sites, data)
    moving = traced.check_observed(where)
    layout = _layout(sites, None, where)
    if subsample is None:
        found = Reading(program, settings, layout, layout, None)
    else:
        plates = {name: s["args"][0] for name, s in sites.items() if s["type"] == "plate"}
        plate = subsampled_plate(subsample, plates)
        layout = _layout(sites, plate.name, where)
        found = Reading(program, settings, layout, layout, plate)
        if plate.partial:
            found = _in_batches(found, arrays)
    if traced.asks:
        _check_chance(found, sites, arrays)
    _check_indices(found, sites, arrays)
    found = with_idle(with_enumeration(found, sites, arrays), sites, arrays)
    return replace(_with_bounds(found, arrays), moving=moving), arrays


class _Traced(NamedTuple):
    """A program, traced abstractly.

    Attributes:
        sites: of them only shapes and static parts may be used.
        observed: what its observed sites say of their data.
        closed: the trace; its results are the tracers in `observed`.
        arguments: of the trace, of which the first two make up the latents.
        asks: whether the program asks for a random key.
    """

    sites: Sites
    observed: list[Observation]
    closed: Any
    arguments: list[Any]
    asks: bool

    def check_observed(self, where: str) -> frozenset[str]:
        """The observed sites whose support moves with latents; see `check_observed`."""
        latents = [number < 2 for number in range(len(self.arguments))]
        return check_observed(self.observed, self.closed, self.arguments, latents, where)


class _First(dict[str, Any]):
    """A choice of every discrete latent's first value, as a number that is traced."""

    def __init__(self, number: Array):
        self.number = number

    def __bool__(self) -> bool:
        return True

    def get(self, name: Any, default: Any = None) -> Any:
        return self.number


def _traced(
    program: Callable,
    arrays: dict[str, Any],
    settings: dict[str, Any],
    plate: SubsampledPlate | None = None,
) -> _Traced:
    """One run of a program in which its latents are made of two numbers, both zero."""
    made: list[tuple[Sites, list[Observation]]] = []
    asked: list[bool] = []

    def chance() -> Array:
        asked.append(True)
        return jax.random.key(0)

    def abstractly(
        blank: Array, first: Array, arrays: dict[str, Any], index: Array | None
    ) -> list[Any]:
        def blank_of(msg: dict[str, Any]) -> Array:
            onto(support_of(msg["fn"]), msg["name"])
            return jnp.zeros(msg["fn"].shape()) + blank

        taken = arrays
        if plate is not None and index is not None:
            taken, index = plate.gathered(arrays, index), plate.row_numbers(index)
        arguments, choice = whole(taken, settings), _First(first)
        sites = run(program, arguments, blank_of, plate, index, choice, chance=chance)
        for name, site in sites.items():
            if is_latent(site):  # while the bounds of its support can be computed with
                site["support"] = support_of(site["fn"])
                site["free_shape"] = free_shape(site["support"], name, site["fn"].shape())
            elif is_summed(site):
                site["finite"] = Finite.of(name, site)
        observed = observations(sites, concrete, arrays) if plate is None else []
        made[:] = [(sites, observed)]
        return [leaf for leaf in jax.tree.leaves(observed) if isinstance(leaf, Tracer)]

    index, concrete = None if plate is None else jnp.arange(plate.batch_size), arrays
    arguments = (jnp.zeros(()), jnp.zeros((), int), arrays, index)
    with reading(program):
        closed = trace(abstractly, *arguments)
    sites, observed = made[0]
    return _Traced(sites, observed, closed, jax.tree.leaves(arguments), bool(asked))


def _check(program: Callable, sites: Sites, data: Mapping[str, Any]) -> None:
    """Whether there is something to infer, and the observed values have their sites' shapes."""
    where = place(program)
    if not any(is_latent(site) for site in sites.values()):
        wish = "at least one continuous latent" if any(map(is_summed, sites.values())) else ""
        raise InputError(
            wish or "at least one latent", "none", "numpyro.sample without obs", where=where
        )
    for name, site in sites.items():
        if site["type"] != "sample":
            continue
        if is_latent(site) or is_summed(site):
            _check_meant_as_latent(name, program, data, where)
        else:
            _check_observed(name, site, where)


def _check_meant_as_latent(
    name: str, program: Callable, data: Mapping[str, Any], where: str
) -> None:
    if name in signature(program).parameters and data.get(name) is None:
        raise InputError(
            f"data for '{name}', which is an argument of the program",
            "none, which makes it a latent",
            f"adding '{name}' to the data",
            where=where,
        )


def _check_observed(name: str, site: dict[str, Any], where: str) -> None:
    got, expected = jnp.shape(site["value"]), tuple(site["fn"].shape())
    plates = {frame.name: frame for frame in site["cond_indep_stack"]}
    event = len(site["fn"].event_shape)
    for frame in plates.values():
        axis = frame.dim - event
        size = got[axis] if len(got) >= -axis else 1
        if size != frame.size and not site["infer"].get("is_auxiliary"):
            raise InputError(
                f"{counted(frame.size, 'row')} in plate '{frame.name}', its declared size",
                f"observed '{name}' of shape {got}",
                "the length of the data as the plate's size, such as len(y)",
                where=where,
            )
    try:
        both = np.broadcast_shapes(got, expected)
    except ValueError:
        both = None
    if both not in (got, expected):
        raise InputError(
            f"observed '{name}' of shape {expected}",
            f"{got}",
            "data of the shape of the distribution",
            where=where,
        )


def _layout(sites: Sites, plate: str | None, where: str) -> Layout:
    latents, free_shapes, axes = [], {}, {}
    for name, site in sites.items():
        if not is_latent(site):
            continue
        shape = tuple(site["fn"].shape())
        latents.append(Site(name, shape, site["support"], plates_of(site)))
        free_shapes[name] = site["free_shape"]
        for frame in site["cond_indep_stack"]:
            if frame.name == plate:
                axes[name] = len(site["fn"].batch_shape) + frame.dim
    return lay_out(tuple(latents), free_shapes, axes, where=where)


def _check_chance(found: Reading, sites: Sites, arrays: dict[str, Any]) -> None:
    """Whether the log-density is the same each time.

    Raises:
        InputError: a site depends on a random key that the program asks for, or on a blocked site.
    """
    latents = {n: jnp.zeros(s["fn"].shape()) for n, s in sites.items() if is_latent(s)}
    order = [name for name, site in sites.items() if site["type"] == "sample"]
    asked = []

    def log_probs(key: Array, arrays: dict[str, Any]) -> list[Array]:
        def chance() -> Array:
            asked.append(True)
            return jax.random.fold_in(key, len(asked))

        arguments = whole(arrays, found.settings)
        made = run(found.program, arguments, lambda m: latents[m["name"]], chance=chance)
        return [log_prob(made[name]) for name in order]

    jaxpr = jax.make_jaxpr(log_probs)(jax.random.key(0), arrays).jaxpr
    drawn = reached(jaxpr, [True] + [False] * len(jax.tree.leaves(arrays)))[1]
    if any(drawn):
        raise InputError(
            "a log-density without chance",
            f"site '{order[drawn.index(True)]}', which depends on a random key or a blocked site",
            "numpyro.sample for whatever is drawn",
            where=place(found.program),
        )


def _check_indices(found: Reading, sites: Sites, arrays: dict[str, Any]) -> None:
    """Whether the program's indices are in range; see `check_indices`."""
    finite = {n: jnp.zeros(s["finite"].shape, int) for n, s in sites.items() if "finite" in s}

    def density(arrays: dict[str, Any], latents: dict[str, Array]) -> list[Array]:
        choice = {name: latents[name] for name in finite}
        arguments = whole(arrays, found.settings)
        made = run(found.program, arguments, lambda m: latents[m["name"]], choice=choice)
        return [factor(s) * log_prob(s) for s in made.values() if s["type"] == "sample"]

    check_indices(
        density,
        arrays,
        lambda key: finite | found.random_values(sites, arrays, key),
        sites=found.layout.sites,
        plates={name: site["args"][0] for name, site in sites.items() if site["type"] == "plate"},
        where=place(found.program),
    )


def _in_batches(found: Reading, arrays: dict[str, Any]) -> Reading:
    """The reading of a minibatch, in whichever of the two ways the program takes its rows.

    Raises:
        InputError: a site outside the plate depends on its rows, so that minibatches would be biased.
    """
    plate = found.plate
    assert plate is not None
    failure, sites, outside = None, {}, []
    try:
        sites = _traced(found.program, arrays, found.settings, plate).sites
        uses_index, outside = _dependence(found, arrays, plate, sites)
    except InputError as error:
        failure, uses_index = error, True
    if uses_index:
        plate = plate._replace(indexed=True)
        try:
            sites = _traced(found.program, arrays, found.settings, plate).sites
        except InputError as error:
            raise failure or error from None
        _, outside = _dependence(found, arrays, plate, sites)
    if outside:
        raise InputError(
            f"sites that depend on rows of plate '{plate.name}' inside that plate",
            f"site '{outside[0]}' outside it",
            f"putting it into the plate, or no subsampling of '{plate.name}'",
            where=place(found.program),
        )
    return replace(found, layout=_layout(sites, plate.name, place(found.program)), plate=plate)


def _dependence(
    found: Reading, arrays: dict[str, Any], plate: SubsampledPlate, sites: Sites
) -> tuple[bool, list[str]]:
    """Whether the program reads the plate's row numbers, and which sites outside depend on rows."""
    latents = {n: jnp.zeros(s["fn"].shape()) for n, s in sites.items() if is_latent(s)}
    inside = {n for n, s in sites.items() if s["type"] == "sample" and plate.name in plates_of(s)}
    order = [n for n, s in sites.items() if s["type"] == "sample"]

    def log_probs(index: Array, arrays: dict[str, Any], latents: dict[str, Array]) -> list[Array]:
        arguments = whole(arrays, found.settings)
        made = run(found.program, arguments, lambda msg: latents[msg["name"]], plate, index)
        return [log_prob(made[name]) for name in order]

    index = jnp.arange(plate.batch_size)
    cut = jax.eval_shape(lambda a: plate.gathered(a, index), arrays)
    jaxpr = jax.make_jaxpr(log_probs)(index, cut, latents).jaxpr
    by_row = [
        not plate.indexed and a.shape != b.shape
        for a, b in zip(jax.tree.leaves(cut), jax.tree.leaves(arrays), strict=True)
    ]
    local = [name in inside for name in sorted(latents)]
    nothing = [False] * len(by_row + local)
    uses_index, _ = reached(jaxpr, [True, *nothing])
    _, depends = reached(jaxpr, [True, *by_row, *local])
    outside = [n for n, d in zip(order, depends, strict=True) if d and n not in inside]
    return uses_index, outside


def _with_bounds(found: Reading, arrays: dict[str, Any]) -> Reading:
    """The reading with the bounds of its supports as numbers.

    Raises:
        InputError: bounds that differ from row to row of a subsampled plate.
    """
    computed = [s.name for s in found.layout.sites if _is_computed(s.support)]
    if not computed:
        return found
    plate = found.plate

    def bounds(datum: Datum, z: Array) -> dict[str, list[Any]]:
        parts = found.layout.parts(z)
        made = found.run(
            datum, lambda msg: onto(support_of(msg["fn"]), msg["name"])(parts[msg["name"]])
        )
        return {name: jax.tree.leaves(support_of(made[name]["fn"])) for name in computed}

    def rows(first: int = 0) -> Datum:
        index = None if plate is None else first + jnp.arange(plate.batch_size)
        return Datum(x=arrays, index=index)

    at, origin = shared_jit(bounds), jnp.zeros(found.layout.dim)
    here = jax.tree.map(np.asarray, at(rows(), origin))
    if plate is not None and plate.partial:
        elsewhere = jax.tree.map(np.asarray, at(rows(plate.size - plate.batch_size), origin))
        for name in computed:
            if not _equal(here[name], elsewhere[name]):
                raise InputError(
                    f"one support for all rows of plate '{plate.name}'",
                    "bounds that differ from row to row",
                    "a latent on the unit interval, scaled to the bounds of its row",
                    where=f"site '{name}'",
                )
    moves = any(jax.tree.leaves(depends_on_last(bounds, rows(), origin)))
    supports = {
        site.name: jax.tree.unflatten(jax.tree.structure(site.support), here[site.name])
        for site in found.layout.sites
        if site.name in computed
    }
    return replace(
        found,
        layout=found.layout.with_supports(supports),
        all_layout=found.all_layout.with_supports(supports),
        held=arrays if moves else None,
    )


def _is_computed(support: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(support))


def _equal(a: Any, b: Any) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))
