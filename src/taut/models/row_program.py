"""A NumPyro program of rows, each with a latent of its own, as p(x, z) of one row.

    def model(x):                                         # a batch of rows, here of one
        with numpyro.plate("rows", len(x)):
            z = numpyro.sample("z", prior)
            numpyro.sample("x", likelihood(decoder(z)), obs=x)

The program is run at one row. Its observed sites and factors are the log-likelihood, its one latent site
the log-prior. Scales of a plate that is subsampled, and of a weighed KL, are those of training: here
each row counts once.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro import handlers

from taut.core import (
    DENSITY,
    LOG_LIKELIHOOD,
    LOG_PRIOR,
    MASS,
    NEG_LOG_Q,
    AbstractModel,
    AbstractProposal,
    Datum,
    Draws,
    InputError,
    Measure,
    Terms,
    as_proposal,
    equal_mass,
)
from taut.distributions import accurate, entropy_of, proposal_kl

__all__ = ["RowProgram", "RowSites", "of_row", "row_sites", "run_at"]


_ROWS = (2, 3)  # in batches that show which axis is that of the rows


class RowSites(eqx.Module):
    """The sites of a program of rows.

    Attributes:
        latent: name of the one site that is not observed.
        latent_shape: of its value for one row.
        observed: name of the one site that holds a row's cells; empty where several do.
        discrete: whether that site has masses.
    """

    latent: str = eqx.field(static=True)
    latent_shape: tuple[int, ...] = eqx.field(static=True)
    observed: str = eqx.field(static=True, default="")
    discrete: bool = eqx.field(static=True, default=False)

    @property
    def latent_dim(self) -> int:
        """Scalar latents of a row."""
        return math.prod(self.latent_shape)

    def value(self, z: Float[Array, " d"]) -> dict[str, Array]:
        """The latent site's value for a batch of one row."""
        return {self.latent: z.reshape(1, *self.latent_shape)}


class RowProgram(AbstractModel):
    """p(x, z) of one row; z is the value of the latent site as one vector.

    Attributes:
        program: a function of a batch of rows with NumPyro primitives.
        params: values of its param sites by name.
        sites: of it.
        data_shape: of a row.
    """

    program: Callable[..., Any] = eqx.field(static=True)
    params: dict[str, Any]
    sites: RowSites
    data_shape: tuple[int, ...] = eqx.field(static=True)

    def terms(self, datum: Datum, z: Any) -> Terms:
        if datum.mask is not None:
            raise InputError(
                "rows without missing cells, which a program of rows reads whole", "rows with some",
                "leaving them out", where="model",
            )  # fmt: skip
        log_likelihood, log_prior = jnp.zeros(()), jnp.zeros(())
        for name, site in self._run(datum.x, z).items():
            if site["type"] != "sample":
                continue
            log_prob = jnp.sum(accurate(site["fn"]).log_prob(site["value"]))
            if name == self.sites.latent:
                log_prior = log_prior + log_prob
            else:
                log_likelihood = log_likelihood + log_prob
        return {LOG_LIKELIHOOD: log_likelihood, LOG_PRIOR: log_prior}

    @property
    def measure(self) -> Measure | None:
        if not self.sites.observed:
            return None
        return Measure((MASS if self.sites.discrete else DENSITY,))

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        return proposal_kl(q, as_proposal(self.prior()), z)

    def prior(self) -> Any:
        nowhere = jnp.zeros(self.sites.latent_dim)
        return of_row(self._run(jnp.zeros(self.data_shape), nowhere)[self.sites.latent]["fn"])

    def mean(self, z: Any) -> Float[Array, "..."]:
        """E[x | z], of the data's shape; differentiable in z."""
        return jnp.asarray(self._row(z).mean).reshape(self.data_shape)

    def sample(self, z: Any, key: Any) -> Array:
        """One x ~ p(x | z), of the data's shape."""
        return jnp.asarray(self._row(z).sample(key)).reshape(self.data_shape)

    def entropy(self, z: Any, *, most: int) -> Float[Array, ""] | None:
        return entropy_of(self._row(z), most=most) if self.sites.observed else None

    def _row(self, z: Any) -> Any:
        if not self.sites.observed:
            raise self._no_decoder("sample")
        return self._run(jnp.zeros(self.data_shape), z)[self.sites.observed]["fn"]

    def _run(self, x: Any, z: Any) -> Mapping[str, Any]:
        return run_at(self.program, self.params | self.sites.value(z), x[None])


def run_at(program: Callable[..., Any], values: Mapping[str, Any], x: Any) -> Mapping[str, Any]:
    """The sites of a program at a batch of rows, with given values of sites; others are drawn."""
    drawn = handlers.seed(program, jax.random.key(0))
    with handlers.block():
        return handlers.trace(handlers.substitute(drawn, data=dict(values))).get_trace(x)


def row_sites(
    program: Callable[..., Any], params: Mapping[str, Any], shape: tuple[int, ...], *, name: str
) -> RowSites:
    """The sites of a program, which is run at two and at three rows of zeros.

    Arguments:
        program: of a batch of rows.
        params: values of its param sites.
        shape: of a row.
        name: `model` or `guide`, for messages.

    Raises:
        InputError: the program fails, lacks a parameter, or has not one latent for each row.
    """
    try:
        found, more = (run_at(program, params, jnp.zeros((n, *shape))) for n in _ROWS)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"a program `{name}` that takes a batch of rows of shape {shape} as its one argument",
            f"{type(error).__name__}: {reason}", "lambda x: program(x, ...) with its other arguments",
            where=name,
        ) from error  # fmt: skip
    for site in found:
        if found[site]["type"] == "param" and site not in params:
            raise InputError(
                f"the trained value of the parameter '{site}'", "none",
                "params=svi.get_params(svi_state)", where="params",
            )  # fmt: skip
    sampled = {n: s for n, s in found.items() if s["type"] == "sample"}
    latents = {n: jnp.shape(s["value"]) for n, s in sampled.items() if not s["is_observed"]}
    of_rows = all(jnp.shape(more[n]["value"]) == (_ROWS[1], *s[1:]) for n, s in latents.items())
    if len(latents) != 1 or not of_rows:
        shapes = ", ".join(f"'{n}' of shape {s}" for n, s in latents.items()) or "none"
        raise InputError(
            "one latent site, whose first axis is that of the rows", f"{shapes}, for two rows",
            "taut.infer for programs of another form", where=name,
        )  # fmt: skip
    (latent, latent_shape), cells = next(iter(latents.items())), _ROWS[0] * math.prod(shape)
    observed = [n for n, s in sampled.items() if s["is_observed"] and jnp.size(s["value"]) == cells]
    if len(observed) != 1:
        return RowSites(latent, latent_shape[1:])
    support: Any = sampled[observed[0]]["fn"].support
    return RowSites(latent, latent_shape[1:], observed[0], bool(support.is_discrete))


class _OfRow(AbstractProposal):
    """The first row of a distribution over rows, as one vector."""

    rows: dist.Distribution

    @property
    def reparameterized(self) -> bool:
        return bool(self.rows.has_rsample)

    def draw(self, key: Any, num_particles: int) -> Draws:
        z = jnp.asarray(self.rows.sample(key, (num_particles,))).reshape(num_particles, -1)
        return Draws(z, equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        value = z.reshape(*self.rows.batch_shape, *self.rows.event_shape)
        return {NEG_LOG_Q: -jnp.sum(self.rows.log_prob(value))}


def of_row(rows: dist.Distribution) -> Any:
    """The distribution of a batch of one row over one vector: a Gaussian as NumPyro has it, else a
    proposal."""
    inside: Any = rows
    while isinstance(inside, dist.Independent | dist.ExpandedDistribution):
        inside = inside.base_dist
    if type(inside) is dist.Normal:
        scale = jnp.sqrt(jnp.asarray(rows.variance))
        return dist.Normal(jnp.asarray(rows.mean).reshape(-1), scale.reshape(-1)).to_event(1)
    if type(inside) is dist.MultivariateNormal and math.prod(rows.batch_shape) == 1:
        dim, tril = inside.event_shape[0], jnp.asarray(inside.scale_tril)
        mean = jnp.asarray(rows.mean).reshape(dim)
        return dist.MultivariateNormal(mean, scale_tril=tril.reshape(dim, dim))
    return _OfRow(rows)
