"""`Posterior`: what `taut.infer` returns, a guide with what tells how far to trust it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.api.fitted import as_key
from taut.api.verdict import Verdict
from taut.core import Datum, Estimate, InputError
from taut.evidence import Moments
from taut.inference import Round, Starts

__all__ = ["Posterior", "constrained"]


@dataclass(frozen=True)
class Posterior:
    """An approximate posterior.

    Attributes:
        model: the program, p(x, z) of all rows.
        datum: its data.
        guide: q(z), a callable pytree from a datum to a proposal.
        family: name of the guide's family.
        estimates: `elbo` (lower), `log_evidence` (lower), `remaining_gain` (upper; NaN where no bound
            was climbed), nats in all.
        khat: Pareto shape of the weights of the draws, a fifth of which are wider than the guide.
        guide_khat: the same of the guide's own draws under the guide's own density.
        khat_threshold: above it resampled draws are of no use.
        ess: effective sample size of `num_draws` draws.
        raw: moments of every coordinate under the guide.
        resampled: the same under the smoothed importance weights.
        verdict: whether to believe it.
        trace: the rounds of the ascent, each a bound with its error.
        starts: which start won, and by how much; None where there was one.
        notes: what a reader should know.
        seconds: wall time by stage.
        z: the draws, (K, d), those of the guide first.
        num_guide: how many are the guide's own.
        weights: their smoothed weights, which add up to 1, (K,).
    """

    model: Any
    datum: Datum
    guide: Any
    family: str
    estimates: dict[str, Estimate]
    khat: float
    guide_khat: float
    khat_threshold: float
    ess: float
    raw: Moments
    resampled: Moments
    verdict: Verdict
    trace: tuple[Round, ...]
    starts: Starts | None
    notes: tuple[str, ...]
    seconds: dict[str, float]
    num_guide: int
    z: Float[np.ndarray, "K d"] = field(repr=False)
    weights: Float[np.ndarray, " K"] = field(repr=False)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the scalar parameters, in the order of `raw` and `resampled`."""
        return self.model.coordinates

    def draws(
        self,
        num_draws: int,
        *,
        kind: Literal["resampled", "raw"] = "resampled",
        key: int | PRNGKeyArray = 0,
    ) -> dict[str, np.ndarray]:
        """Draws of the parameters in natural units, by name, each with leading axis `num_draws`.

        Arguments:
            num_draws: number of draws.
            kind: `resampled` from the weighted draws, systematically, so that a draw of weight w
                appears w `num_draws` times up to rounding; `raw` straight from the guide's draws.
            key: whole number or random key.

        Raises:
            InputError: another kind.
        """
        if kind not in ("resampled", "raw"):
            raise InputError("resampled or raw", repr(kind), "resampled", where="kind")
        count = len(self.weights)
        own = np.arange(count) < self.num_guide
        weights = self.weights if kind == "resampled" else own / self.num_guide
        offset_key, order_key = jax.random.split(as_key(key))
        offset = float(jax.random.uniform(offset_key))
        points = (np.arange(num_draws) + offset) / num_draws
        chosen = np.searchsorted(np.cumsum(weights), points).clip(max=count - 1)
        order = np.asarray(jax.random.permutation(order_key, num_draws))
        with jax.enable_x64(self.z.dtype == np.float64):
            made = jax.jit(jax.vmap(self.model.constrain))(jnp.asarray(self.z[chosen[order]]))
        return jax.tree.map(np.asarray, made)

    def coordinate_draws(self) -> Float[np.ndarray, "K C"]:
        """The weighted draws in natural units, in the order of `coordinates`."""
        with jax.enable_x64(self.z.dtype == np.float64):
            return constrained(self.model, self.z)

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write a run folder; see `taut.api.posterior_files`.

        Raises:
            InputError: the folder holds a run (see `force`) or something else.
        """
        from taut.api.posterior_files import save_posterior

        return save_posterior(self, path, force=force)

    def to_inference_data(
        self, *, num_draws: int | None = None, key: int | PRNGKeyArray = 0
    ) -> Any:
        """The draws as an `arviz.InferenceData`: groups `posterior` (resampled) and `guide`.

        Arguments:
            num_draws: of each group; None for as many as were weighed.
            key: of the resampling.

        Raises:
            InputError: ArviZ is not installed.
        """
        from taut.api.inference_data import inference_data

        return inference_data(self, num_draws=num_draws, key=key)


def constrained(model: Any, z: Float[np.ndarray, "K d"]) -> Float[np.ndarray, "K C"]:
    """Every scalar parameter in natural units, in the order of `coordinates`."""

    def flat(one: Array) -> Array:
        values = model.constrain(one)
        return jnp.concatenate([jnp.ravel(values[site.name]) for site in model.sites])

    return np.asarray(jax.jit(jax.vmap(flat))(jnp.asarray(z)), np.float64)
