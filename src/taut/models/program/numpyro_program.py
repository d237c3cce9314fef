"""`NumPyroProgram`: p(x, z) read off a NumPyro program as it stands.

    log p(x, theta) = sum over observed sites + sum over latent sites         log_likelihood, log_prior
    theta_s         = T_s(z_s),   T_s the map from R^n onto site s's support  log_volume

Discrete latents with finitely many values are summed out; sites that depend on them count as
log_likelihood (see `discrete`).

Supports may depend on latents that come before (Uniform(0, a) with a latent). The program runs once for
each compilation; every value in it is an argument, but for settings.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import ImproperUniform
from numpyro.distributions.transforms import IdentityTransform, Transform

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, LOG_VOLUME, Datum, Terms
from taut.models.program.abstract import AbstractProgram, Part
from taut.models.program.arguments import whole
from taut.models.program.dependence import depends_on_last
from taut.models.program.discrete import Cells, Choice
from taut.models.program.distribution_support import contains, margins, support_of
from taut.models.program.failures import place, reading
from taut.models.program.layout import Layout
from taut.models.program.noncentred import noncentring
from taut.models.program.observed_values import ObservedValues, observed_values
from taut.models.program.read import read
from taut.models.program.reading import Reading
from taut.models.program.supports import onto
from taut.models.program.tracing import cells, drawn, factor, is_latent, log_prob

__all__ = ["NumPyroProgram"]


class _Placed(NamedTuple):
    sites: dict[str, dict[str, Any]]
    log_volume: Float[Array, ""]


class NumPyroProgram(AbstractProgram):
    """p(x, z) from a NumPyro program.

    Attributes:
        reading: what was read off it; `NumPyroProgram.of` makes it.
    """

    reading: Reading = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        program: Callable,
        data: dict[str, Any] | None = None,
        *,
        subsample: dict[str, int] | None = None,
    ) -> tuple["NumPyroProgram", Datum]:
        """The model, and the datum that holds all its data.

        Arguments:
            program: a function with NumPyro primitives; its arguments are names of the data.
            data: arrays and settings by name; Python integers stay settings, so that they can be sizes.
            subsample: rows in a minibatch by name of a plate. Terms then need `datum.index`, the
                numbers (B,) of the batch's rows; `all_rows` gives the model of all rows.

        Raises:
            InputError: anything about the program or the data that cannot be used.
        """
        reading, arrays = read(program, data or {}, subsample)
        return cls(reading), Datum(x=arrays)

    @property
    def layout(self) -> Layout:
        return self.reading.layout

    @property
    def name(self) -> str:
        return place(self.reading.program)

    @property
    def moving(self) -> frozenset[str]:
        return self.reading.moving

    @property
    def subsampled(self) -> bool:
        plate = self.reading.plate
        return plate is not None and plate.partial

    @property
    def row_scale(self) -> float:
        return 1.0 if self.reading.plate is None else self.reading.plate.scale

    def with_batch(self, size: int) -> "NumPyroProgram":
        """The model of minibatches of another size, where no row has latents of its own."""
        assert self.reading.plate is not None
        assert not self.num_locals
        return NumPyroProgram(self.reading.with_batch(size))

    def all_rows(self) -> "NumPyroProgram":
        """The model of all rows; in its z the locals of all rows follow the same globals."""
        return NumPyroProgram(self.reading.all_rows()) if self.subsampled else self

    def noncentred(self, datum: Datum) -> "NumPyroProgram | None":
        """The program with latents whose scale moves with other latents as standard numbers in z.

        None where there is no such latent, or minibatches. Parameters in natural units are the same.
        """
        if self.reading.noncentred or self.reading.plate is not None:
            return None

        def scales(z: Float[Array, " d"]) -> dict[str, Array]:
            sites = self._placed(datum, z).sites.items()
            maps = {name: noncentring(site["fn"]) for name, site in sites if is_latent(site)}
            return {name: jnp.asarray(one.scale) for name, one in maps.items() if one is not None}

        moves = depends_on_last(scales, jnp.zeros(self.dim))
        names = frozenset(name for name, scale_moves in moves.items() if scale_moves)
        if not names:
            return None
        return NumPyroProgram(replace(self.reading, noncentred=names, held=datum.x))

    def terms(self, datum: Datum, z: Float[Array, " d"]) -> Terms:
        placed, enumeration = self._placed(datum, z), self.reading.enumeration
        touched = enumeration.touched if enumeration else frozenset()
        terms = {LOG_LIKELIHOOD: jnp.zeros(()), LOG_PRIOR: jnp.zeros(())}
        for site_name, site in placed.sites.items():
            if site["type"] == "sample" and site_name not in touched:
                name = LOG_PRIOR if is_latent(site) else LOG_LIKELIHOOD
                terms[name] += jnp.sum(factor(site) * log_prob(site))
        if enumeration:
            terms[LOG_LIKELIHOOD] += self._summed(datum, z)[0]
        return {**terms, LOG_VOLUME: placed.log_volume}

    def has_free_constant(self, datum: Datum) -> bool:
        found = []

        def look(z: Float[Array, " d"]) -> Array:
            sites = self._placed(datum, z).sites.values()
            found.extend(s for s in sites if is_latent(s) and _improper(s["fn"]))
            return z

        jax.eval_shape(look, jnp.zeros(self.dim))
        return bool(found)

    def observed(self, datum: Datum) -> ObservedValues | None:
        first, second = (
            observed_values(self._placed(datum, jnp.full(self.dim, at)).sites) for at in (0.0, 0.3)
        )
        if first is None or second is None:
            return None
        # What moves with latents is no data, but a constraint on them.
        return first if all(map(np.array_equal, first, second)) else None

    def constrain(self, z: Float[Array, " d"]) -> dict[str, Array]:
        layout = self.layout
        if self.reading.held is None:
            free = layout.parts(z)
            return {s.name: onto(s.support, s.name)(free[s.name]) for s in layout.sites}
        sites = self._placed(self._held(), z).sites
        return {site.name: sites[site.name]["value"] for site in layout.sites}

    def unconstrain(self, values: dict[str, Any]) -> Float[Array, " d"]:
        values = self.layout.checked(values, self.name)
        if self.reading.held is None:
            return self.layout.joined(
                {s.name: onto(s.support, s.name).inv(values[s.name]) for s in self.sites}
            )
        free = {}

        def value_of(msg: dict[str, Any]) -> Array:
            value = values[msg["name"]]
            free[msg["name"]] = self._map(msg).inv(value)
            return value

        self.reading.run(self._held(), value_of)
        return self.layout.joined(free)

    def derived(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Array]:
        sites, enumeration = self._placed(datum, z).sites, self.reading.enumeration
        moving = enumeration.moving if enumeration else ()
        return {
            n: jnp.asarray(s["value"])
            for n, s in sites.items()
            if s["type"] == "deterministic" and n not in moving
        }

    def predictive(
        self, datum: Datum, z: Float[Array, " d"], key: PRNGKeyArray
    ) -> dict[str, Array]:
        arguments, latents = whole(datum.x, self.reading.settings), self.constrain(z)
        with reading(self.reading.program):
            return drawn(self.reading.program, arguments, latents, key)

    def margins(self, datum: Datum, z: Float[Array, " d"]) -> Float[Array, " M"]:
        sites = self._placed(datum, z).sites
        found = [
            jnp.ravel(margin)
            for name in sorted(self.moving)
            for margin in margins(sites[name]["fn"], jnp.asarray(sites[name]["value"]))
        ]
        return jnp.concatenate([jnp.zeros(0), *found])

    def parts(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Part]:
        sites, enumeration = self._placed(datum, z).sites, self.reading.enumeration
        touched = enumeration.touched if enumeration else frozenset()
        parts = {
            name: _part(site)
            for name, site in sites.items()
            if site["type"] == "sample" and name not in touched
        }
        if enumeration:
            total, rows = self._summed(datum, z)
            whole = bool(enumeration.shared) or not enumeration.local
            # Data first: the name that a message is about.
            name = min(touched, key=lambda n: not sites[n]["is_observed"])
            part = _part(sites[name])
            parts[name] = part._replace(log_prob=total if whole else rows)
        return parts

    def _summed(self, datum: Datum, z: Float[Array, " d"]) -> tuple[Array, Array]:
        """The sites that depend on discrete latents, these summed out: in all, and by row."""
        enumeration = self.reading.enumeration
        assert enumeration is not None

        def touched(choice: Choice) -> dict[str, Cells]:
            sites = self._placed(datum, z, choice).sites
            return {name: cells(sites[name]) for name in enumeration.touched}

        return enumeration.marginal(touched)

    def _held(self) -> Datum:
        plate = self.reading.plate
        index = None if plate is None else jnp.arange(plate.batch_size)
        return Datum(x=self.reading.held, index=index)

    def _map(self, msg: dict[str, Any]) -> Transform:
        """From a latent's free value, in z, to its value."""
        own = noncentring(msg["fn"]) if msg["name"] in self.reading.noncentred else None
        return onto(support_of(msg["fn"]), msg["name"]) if own is None else own

    def _placed(self, datum: Datum, z: Float[Array, " d"], choice: Choice | None = None) -> _Placed:
        """One run at z, with the log-volume of the maps onto the supports."""
        parts, volume = self.layout.parts(z), [jnp.zeros(())]

        def value_of(msg: dict[str, Any]) -> Array:
            free = parts[msg["name"]]
            transform = self._map(msg)
            value = jnp.asarray(transform(free))
            if not isinstance(transform, IdentityTransform):
                scale = self.row_scale if self.layout.is_local(msg["name"]) else 1.0
                volume.append(scale * jnp.sum(transform.log_abs_det_jacobian(free, value)))
            return value

        sites = self.reading.run(datum, value_of, choice)
        return _Placed(sites, jnp.sum(jnp.stack(volume)))


def _part(site: dict[str, Any]) -> Part:
    """A site's log-probability cell by cell, and whether its data lie in the support."""
    fn, value = site["fn"], site["value"]
    observed = not is_latent(site)
    is_data = observed and not site["infer"].get("is_auxiliary")
    supported = jnp.asarray(contains(fn, jnp.asarray(value))) if is_data else None
    return Part(log_prob(site), value, supported, observed)


def _improper(distribution: Any) -> bool:
    """Whether a distribution, in whatever it is wrapped, has no finite integral."""
    if isinstance(distribution, ImproperUniform):
        return True
    inner = getattr(distribution, "base_dist", None)
    return inner is not None and _improper(inner)
