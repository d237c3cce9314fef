"""`Posterior`: what `taut.infer` returns, a guide with what tells how far to trust it."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import (
    FREE_CONSTANT,
    Datum,
    Estimate,
    InputError,
    Pair,
    as_key,
    check_count,
    counted,
    option,
)
from taut.core.compiling import shared_jit
from taut.core.memory import within_memory
from taut.data.checksum import checksum_of_arrays
from taut.evidence import Evidence, PosteriorMoments, expected_bound, importance_sampling
from taut.fitted.facts import PosteriorFacts, Refined, StartCount
from taut.inference.posterior import MultiStart, Round
from taut.inference.posterior.verdict import Verdict
from taut.models.program import AbstractProgram, NamedValues

__all__ = ["Posterior", "data_checksum_of"]

_SHOWN = 10  # coordinates in its `repr`


@dataclass(frozen=True)
class Posterior:
    """An approximate posterior.

    Attributes:
        natural: the program, p(x, z) of all rows, with its data and the values that are reported.
        guide: q(z), a callable pytree from a datum to a proposal.
        family: name of the guide's family.
        layers: of a flow; empty for other families.
        estimates: `elbo` (lower), `log_evidence` (lower), `remaining_gain` (upper; NaN where no bound
            was climbed), nats in all.
        khat: Pareto shape of the weights of the draws, a fifth of which are wider than the guide; of
            refined draws the largest of the steps of temperature.
        guide_khat: the same of the guide's own draws under the guide's own density.
        khat_threshold: above it resampled draws are of no use.
        ess: effective sample size of `num_draws` draws.
        raw: moments of every coordinate under the guide; those of derived values come last.
        resampled: the same under the weights: smoothed importance weights, or those of refined draws.
        verdict: whether to believe it.
        trace: the rounds of the ascent, each a bound with its error.
        starts: which start won, and by how much; None where there was one.
        notes: what a reader should know.
        seconds: wall time by stage.
        z: the draws, (K, d), those of the guide first.
        num_guide: how many are the guide's own.
        weights: their weights, which add up to 1, (K,); zero for the guide's where others were refined.
        refined: how draws were moved from the guide to the posterior; None where none were.
    """

    natural: NamedValues
    guide: Any
    family: str
    layers: str
    estimates: dict[str, Estimate]
    khat: float
    guide_khat: float
    khat_threshold: float
    ess: float
    raw: PosteriorMoments
    resampled: PosteriorMoments
    verdict: Verdict
    trace: tuple[Round, ...]
    starts: MultiStart | None
    notes: tuple[str, ...]
    seconds: dict[str, float]
    num_guide: int
    z: Float[np.ndarray, "K d"] = field(repr=False)
    weights: Float[np.ndarray, " K"] = field(repr=False)
    refined: Refined | None = None

    def __repr__(self) -> str:
        """The first coordinates, the evidence and the verdict."""
        quantiles = [f"{100 * p:g} %" for p in self.resampled.probabilities]
        lines: list[tuple[str, ...]] = [("", "mean", "sd", *quantiles)]
        for i, name in enumerate(self.coordinates[:_SHOWN]):
            numbers = (self.resampled.mean[i], self.resampled.sd[i], *self.resampled.quantiles[i])
            lines.append((name, *(f"{number:.4g}" for number in numbers)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        ]
        more = len(self.coordinates) - len(lines) + 1
        title = " ".join(filter(None, (self.model.name, self.family, self.layers)))
        return "\n".join([
            f"Posterior of {title}, {counted(self.natural.num_latents, 'coordinate')}", *table,
            *([f"..., {more} more"] if more else []),
            f"log-evidence {self.estimates['log_evidence']}", f"{self.verdict}",
        ])  # fmt: skip

    @property
    def model(self) -> AbstractProgram:
        """p(x, z) of all rows."""
        return self.natural.model

    @property
    def datum(self) -> Datum:
        """The data."""
        return self.natural.datum

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the scalar parameters, then of derived values, as in `raw` and `resampled`."""
        return self.natural.coordinates

    @property
    def facts(self) -> PosteriorFacts:
        """What summary.json holds beside the estimates."""
        won = None
        if self.starts is not None:
            won = StartCount(climbed=len(self.starts.starts), winner=self.starts.winner)
        return PosteriorFacts(
            verdict=str(self.verdict),
            program=self.model.name,
            family=self.family,
            layers=self.layers,
            coordinates=self.natural.num_latents,
            khat=float(self.khat),
            guide_khat=float(self.guide_khat),
            khat_threshold=float(self.khat_threshold),
            effective_draws=float(self.ess),
            num_draws=len(self.weights) - (self.num_guide if self.refined else 0),
            steps=int(self.trace[-1].num_steps) if self.trace else None,
            starts=won,
            seconds=self.seconds,
            checksum=data_checksum_of(self.datum),
            observed=self.observed,
            notes=self.notes,
            refined=self.refined,
        )

    @cached_property
    def observed(self) -> str:
        """Of which values the evidence is, in words with a checksum; empty where that is not known."""
        with jax.enable_x64(True):
            found = self.model.observed(self.datum)
        if found is None:
            return ""
        masses, densities = found
        counted = f"{len(masses)} probabilities and {len(densities)} densities"
        return f"{counted}, {checksum_of_arrays(found._asdict())[-8:]}"

    def draws(
        self,
        num_draws: int,
        *,
        kind: Literal["resampled", "raw"] = "resampled",
        key: int | PRNGKeyArray = 0,
    ) -> dict[str, np.ndarray]:
        """Draws of parameters and derived values by name, in natural units, (num_draws, ...).

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
        own = np.arange(len(self.weights)) < self.num_guide
        weights = self.weights if kind == "resampled" else own / self.num_guide
        chosen = self._chosen(num_draws, weights, as_key(key))
        with self._precision():
            return self.natural.values(self.z[chosen])

    def coordinate_draws(self) -> Float[np.ndarray, "K C"]:
        """The weighted draws in natural units, in the order of `coordinates`."""
        with self._precision():
            return self.natural.table(self.z)

    def sample(self, num_samples: int, *, key: int | PRNGKeyArray = 0) -> dict[str, np.ndarray]:
        """New data from the posterior predictive, by observed site, with leading axis `num_samples`.

        Arguments:
            num_samples: draws x_new ~ p(x_new | z), one for each z resampled from the posterior.
            key: whole number or random key.

        Raises:
            InputError: the model is a log-joint, from which nothing can be drawn.
        """
        num_samples = check_count(
            num_samples, "at least one sample", "64", where=option("num_samples")
        )
        z_key, x_key = jax.random.split(as_key(key))
        with self._precision(), within_memory(num_samples=num_samples):
            z = jnp.asarray(self.z[self._chosen(num_samples, self.weights, z_key)])
            draw = shared_jit(jax.vmap(self.model.predictive, in_axes=(None, 0, 0)))
            made = draw(self.datum, z, jax.random.split(x_key, num_samples))
        return jax.tree.map(np.asarray, made)

    def bound(
        self, bound: AbstractBound, *, key: int | PRNGKeyArray = 0, num_repeats: int = 16
    ) -> Estimate:
        """Any bound under the guide, averaged over independent repeats; nats.

        Arguments:
            bound: such as `taut.IWAE(10)`.
            key: whole number or random key.
            num_repeats: independent values.
        """
        with self._precision():
            found = expected_bound(
                self._pair, self._row, bound, key=as_key(key), num_repeats=num_repeats
            )
        return self._told(replace(found, unit="nats"))

    def evidence(
        self, *, num_particles: int | None = None, key: int | PRNGKeyArray | None = None
    ) -> Estimate:
        """Log-evidence, nats; lower in expectation: of the fit's own draws, or of new ones.

        `estimates["log_evidence"]` is that of the fit's own: with heavier tails around the guide, or
        refined. They follow from its key.

        Arguments:
            num_particles: new draws of the guide alone; None for the fit's own where they were refined
                or no key is given, else for 10 000 new ones.
            key: whole number or random key of new draws; None for 0.
        """
        if num_particles is None and (key is None or self.refined is not None):
            return self.estimates["log_evidence"]
        count = 10_000 if num_particles is None else num_particles
        return self.evaluate(num_particles=count, key=0 if key is None else key).log_evidence

    def evaluate(self, *, num_particles: int = 10_000, key: int | PRNGKeyArray = 0) -> Evidence:
        """The same with ELBO, effective sample size and k-hat of new draws of the guide alone."""
        with self._precision():
            found = importance_sampling(
                self._pair, self._row, key=as_key(key), num_particles=num_particles
            )
        names = ("log_evidence", "elbo", "reconstruction", "kl")
        return replace(
            found, **{n: self._told(replace(getattr(found, n), unit="nats")) for n in names}
        )

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write a run folder; see `taut.fitted.posterior_files`.

        Raises:
            InputError: the folder holds a run (see `force`) or something else; the posterior is then
                kept in a folder beside it, which the message names.
        """
        from taut.fitted.posterior_files import write_posterior
        from taut.recipe import ProgramRecipe
        from taut.runs import RunFolder

        with RunFolder.for_saving(path, force=force) as written:
            run = RunFolder.create(written, ProgramRecipe().to_dict(), force=force)
            write_posterior(self, run)
        return written

    def to_inference_data(
        self, *, num_draws: int | None = None, key: int | PRNGKeyArray = 0
    ) -> Any:
        """The draws for ArviZ: groups `posterior` (resampled) and `guide`.

        Arguments:
            num_draws: of each group; None for as many as were weighed.
            key: of the resampling.

        Raises:
            InputError: ArviZ is not installed.
        """
        from taut.fitted.inference_data import inference_data

        return inference_data(self, num_draws=num_draws, key=key)

    def _told(self, estimate: Estimate) -> Estimate:
        """An estimate of the same evidence with the flags that every one of them has."""
        flags = self.estimates["log_evidence"].flags & {FREE_CONSTANT}
        return replace(estimate, flags=estimate.flags | flags)

    def _chosen(
        self, count: int, weights: Float[np.ndarray, " K"], key: PRNGKeyArray
    ) -> Int[np.ndarray, " N"]:
        """Numbers of systematically resampled draws, in random order."""
        offset_key, order_key = jax.random.split(key)
        points = (np.arange(count) + float(jax.random.uniform(offset_key))) / count
        chosen = np.searchsorted(np.cumsum(weights), points).clip(max=len(weights) - 1)
        return chosen[np.asarray(jax.random.permutation(order_key, count))]

    @property
    def _pair(self) -> Pair:
        return Pair(self.model, self.guide)

    @property
    def _row(self) -> Datum:
        """The data as a batch of one, numbered where a log-joint has none."""
        row = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], self.datum)
        return row if jax.tree.leaves(row) else replace(row, index=jnp.zeros(1, int))

    def _precision(self) -> Any:
        return jax.enable_x64(self.z.dtype == np.float64)


def data_checksum_of(datum: Datum) -> str:
    """Of the arrays of the data, by their places."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(datum.x)
    return checksum_of_arrays({jax.tree_util.keystr(place): leaf for place, leaf in leaves})
