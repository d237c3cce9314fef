"""`Fit`: a fitted model and guide, with what people do with them.

Rows go in as a `Dataset`, a NumPy array, a JAX array or a data frame of numbers, in the data's own
units: one row (of the data's shape) or many (a leading axis). What comes back has the same leading axis.
All methods take grey training rows of a dynamic binarization as drawn once (`taut.fitted.drawn_rows`).
`encode` and `decode` are differentiable JAX functions of one row or many.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import (
    NO_BOUND,
    AbstractModel,
    AbstractPair,
    Datum,
    Estimate,
    FarRows,
    InputError,
    as_key,
    check_count,
    counted,
    far_rows_of,
    option,
    refuse_unheard,
)
from taut.core.memory import within_memory
from taut.data import Dataset, Schema
from taut.evidence import (
    AbstractMethod,
    Bracket,
    Escalation,
    EscalationInterrupted,
    Evidence,
    expected_bound,
)
from taut.evidence.bounded import bounded_or_not, unbounded_columns
from taut.fitted import coding
from taut.fitted.aggregated_posterior import AggregatedPosterior, aggregated_posterior
from taut.fitted.below_columns import below_columns
from taut.fitted.conditioning import sample_given
from taut.fitted.escalating import escalated
from taut.fitted.facts import FitFacts
from taut.fitted.filling import filled
from taut.fitted.given_rows import as_array, as_datum, is_sparse, mask_of
from taut.fitted.imputing import Imputed
from taut.fitted.methods import AUTO, bound_of, measured_by, method_of
from taut.fitted.own_evidence import own_evidence
from taut.fitted.predictor import Predictor, save_predictor
from taut.fitted.row_totals import decode_at_totals, sample_at_totals
from taut.fitted.training_rows import flagged, noted
from taut.inference import AbstractAmortized
from taut.recipe import Recipe, completed
from taut.runs import RunFolder, save_pair

__all__ = ["Fit"]


@dataclass(frozen=True)
class Fit:
    """A fitted pair of model and guide.

    Attributes:
        pair: all parameters.
        architecture: the choices behind them.
        schema: the form of a row.
        facts: rows, steps, wall time, device and the like.
        recipe: what was asked, which repeats the fit.
        history: one record a step, as in metrics.jsonl.
        estimates: every number reported at the end, by name.
        precision: `float32` or `float64`.
        predictor: what predicts the target; None without one.
    """

    pair: AbstractPair
    architecture: AbstractArchitecture
    schema: Schema
    facts: FitFacts
    recipe: Recipe = field(default_factory=Recipe)
    history: tuple[Mapping[str, Any], ...] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    precision: str = "float32"
    predictor: Predictor | None = None

    def __repr__(self) -> str:
        evidence, rows = self.estimates.get("log_evidence"), counted(self.facts.rows.train, "row")
        said = f"{self.architecture.name} of {self.schema.name}, {rows} trained on"
        return f"Fit({said})" if evidence is None else f"Fit({said}; log-evidence {evidence})"

    @property
    def model(self) -> AbstractModel:
        """p(x, z), bound to what the pair shares."""
        return self.pair.bind()[0]

    @property
    def guide(self) -> Any:
        """q(z | x), a callable from a datum to a proposal, bound to what the pair shares."""
        return self.pair.bind()[1]

    @property
    def far_rows(self) -> dict[str, FarRows]:
        """The test rows that alone move a mean by more than its error, by the name of the estimate."""
        return far_rows_of(self.estimates)

    @property
    def below_columns(self) -> Estimate | None:
        """How far the model is below independent columns on the test rows; None where it is not."""
        return below_columns(self.estimates)

    def bound(
        self, rows: Any, bound: AbstractBound | str, *, key: Any = 0, num_repeats: int = 16
    ) -> Estimate:
        """Any bound, or the name of one, on given rows, averaged over repeats; nats per row."""
        bound = bound_of(bound)
        with self._precision():
            given = self._rows(rows)
            pair, draw_key = self.serving(given, as_key(key))
            found = expected_bound(pair, given, bound, key=draw_key, num_repeats=num_repeats)
            found = found.without_bound() if unbounded_columns(self.model, self.schema) else found
        return flagged(found, self, given)

    def evidence(
        self,
        rows: Any,
        *,
        num_particles: int | None = None,
        method: AbstractMethod | str = "importance",
        key: Any = 0,
    ) -> Estimate:
        """Log-evidence of the rows, nats per row.

        Exact where there is a closed form; else a lower bound in expectation, or what the method claims.

        Arguments:
            rows: see the module.
            num_particles: draws per row; None for 1000 of the guide or the prior, and for the own
                number of another method. An exact log-evidence does not depend on it.
            method: `importance` from the guide, `monte-carlo` from the prior, `refined` from a Gaussian
                fitted to each row, or another of `taut.evidence`, by name or with options of its own;
                `auto` for the number that `bracket` quotes, by as many of them as that takes.
            key: whole number or random key.

        Raises:
            InputError: no such method, or one that cannot take the model or its latents.
        """
        if method != AUTO and method_of(method, num_particles).name == "importance":
            with self._precision():
                if (exact := own_evidence(self, self._rows(rows))) is not None:
                    return exact
        return self.evaluate(rows, num_particles=num_particles, method=method, key=key).log_evidence

    def evaluate(
        self,
        rows: Any,
        *,
        num_particles: int | None = None,
        method: AbstractMethod | str = "importance",
        key: Any = 0,
    ) -> Evidence:
        """The same with ELBO, KL, sample sizes, Pareto k-hats, and notes, as of rows trained on."""
        if method == AUTO:
            return self.bracket(rows, num_particles=num_particles, key=key).evidence
        chosen: Any = method_of(method, num_particles)
        with self._precision(), within_memory(num_particles=chosen.num_particles):
            given = self._rows(rows)
            pair, draw_key = self.serving(given, as_key(key))
            found = measured_by(chosen, pair, given, key=draw_key)
            found = bounded_or_not(found, pair.bind()[0], self.schema)
        return noted(found.without_bound() if self._without_bound else found, self, given)

    def bracket(
        self,
        rows: Any,
        *,
        precision_nats: float | int = 0.1,
        seconds: float | int = 300.0,
        num_particles: int | None = None,
        key: Any = 0,
        begun: Callable[[str], None] | None = None,
    ) -> Bracket:
        """Log-evidence of the rows, by method after method until it is known well enough.

        Importance sampling from the guide, then from a Gaussian fitted to each row, then annealing from
        there: which number to quote, how far above it the truth may lie, and what each method bought.
        Each number is that of `evaluate` with the same key.

        Arguments:
            rows: see the module.
            precision_nats: width of the bracket of the mean at which to stop, nats per row.
            seconds: that all methods may take. One that would take longer than what is left is not
                begun; one that has begun is finished, and so is the first.
            num_particles: draws per row of importance sampling; None for 1000.
            key: whole number or random key.
            begun: told the name of each method that is begun.

        Raises:
            InputError: a precision or a time that is not above 0.
            EscalationInterrupted: Ctrl-C after some methods were done, whose `bracket` it holds.
        """
        how_far = Escalation(precision_nats, seconds)
        with self._precision(), within_memory(num_particles=num_particles):
            given = self._rows(rows)
            serving_key = as_key(key)
            pair, draw_key = self.serving(given, serving_key)
            unbounded = self._without_bound or unbounded_columns(pair.bind()[0], self.schema)

            def told(by: Bracket) -> Bracket:
                return noted(by.without_bound() if unbounded else by, self, given)

            try:
                found = escalated(
                    pair, given, how_far,
                    serving=lambda others: self.serving(others, serving_key)[0],
                    num_particles=num_particles, key=draw_key, begun=begun,
                )  # fmt: skip
            except EscalationInterrupted as interrupt:
                interrupt.bracket = told(interrupt.bracket)
                raise
        return told(found)

    def aggregated_posterior(self, rows: Any) -> AggregatedPosterior:
        """The mean of q(z | x) over the rows: draws, and densities with all components."""
        with self._precision():
            given = self._rows(rows)
            return aggregated_posterior(self.serving(given, as_key(0))[0], given)

    def encode(self, rows: Any) -> Float[Array, "... d"]:
        """Mean of q(z | x): (d,) for one row, (N, d) for many. Differentiable; see `coding.encode`."""
        if is_sparse(rows):
            return jnp.concatenate([self._by(coding.encode, part) for part in rows.parts()])
        return self._by(coding.encode, rows)

    def decode(self, z: Float[Array | np.ndarray, "... d"]) -> Float[Array, "..."]:
        """E[x | z] of one z or many, counts given totals at the training median. Differentiable."""
        with self._precision(z):
            z = jnp.asarray(z)
            x = decode_at_totals(self, z.reshape(-1, z.shape[-1]))
        return x.reshape(*z.shape[:-1], *self.schema.shape)

    def reconstruct(self, rows: Any) -> Float[Array, "..."]:
        """`decode(encode(rows))`; of counts that are given the totals of their rows at these."""
        return self._by(coding.reconstruct, rows)

    def impute(
        self, rows: Any, *, draws: int = 0, num_particles: int | None = None, key: Any = 0
    ) -> Imputed:
        """The missing cells of rows given the observed ones: mean, mode, standard deviation and draws.

        Exact of a model with an exact posterior; by importance resampling from the guide (see
        `taut.fitted.resampling`) of one with a decoder.

        Arguments:
            rows: see the module; many, NaN where a cell is missing.
            draws: of all missing cells of each row together.
            num_particles: draws of the latents of a row that is resampled; None for 1000.
            key: whole number or random key of the draws.

        Raises:
            InputError: a model that has neither; a number of draws for one that is exact.
        """
        draws = check_count(draws, "a number of draws of at least 0", "20", where="draws", least=0)
        with self._precision():
            given = self._rows(rows)
            return filled(self, given, draws=draws, num_particles=num_particles, key=as_key(key))

    def sample(
        self,
        num_samples: int,
        *,
        key: Any = 0,
        mean: bool = False,
        given: Mapping[str, Any] | None = None,
        num_particles: int | None = None,
    ) -> Array:
        """Draws x ~ p(x), (num_samples, *shape); with `mean`, E[x | z] of drawn z instead.

        Counts that are given the totals of their rows are drawn as `taut.fitted.row_totals` has it.

        With `given`, such as `{"age": 40, "sex": "F"}`, the other cells are drawn given these; of a
        model without exact conditionals from `num_particles` weighted draws of z (None for 10,000), as
        `taut.fitted.conditioning` has it.
        """
        if given:
            sizes = {"num_samples": num_samples, "num_particles": num_particles}
            return jnp.asarray(sample_given(self, given, **sizes, key=key, mean=mean).x)
        refuse_unheard(
            {"num_particles": num_particles}, f"cells that are {option('given')}", "none"
        )
        with self._precision(), within_memory(num_samples=num_samples):
            return sample_at_totals(self, num_samples, key=as_key(key), mean=mean)

    def interpolate(self, first: Any, second: Any, *, num_steps: int = 10) -> Float[Array, "..."]:
        """As `coding.interpolate`: E[x | z] along the line between the encodings of two rows."""
        ends = [as_array(row, self)[0] for row in (first, second)]
        if any(len(end) != 1 for end in ends):
            raise InputError(
                "one row at each end", f"{len(ends[0])} and {len(ends[1])}", "rows.x[0]",
                where="interpolate",
            )  # fmt: skip
        with self._precision():
            both = np.concatenate(ends)
            pair, *beside = self._encoding(both, both)
            return coding.interpolate(pair, both, *beside, num_steps=num_steps)

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write a run folder.

        Raises:
            InputError: the folder holds a run (see `force`) or something else; the fit is then kept in a
                folder beside it, which the message names.
        """
        with RunFolder.for_saving(path, force=force) as written:
            self.save_results(RunFolder.create(written, self.recipe.to_dict(), force=force))
        return written

    def save_results(self, run: RunFolder) -> None:
        """Write steps, model and summary into a run folder, in that order."""
        run.keep_steps(0)
        for record in self.history:
            metrics = {
                k: np.asarray([v]) for k, v in record.items() if k not in ("step", "validation")
            }
            validation = record.get("validation")
            run.append_steps(record["step"], metrics, validation and Estimate.from_dict(validation))
        self.save_model(run)
        run.write_summary(self.estimates, self.facts.to_dict())

    def save_model(self, run: RunFolder) -> None:
        """Write the model's two files into a run folder."""
        save_pair(
            run.path, self.pair, self.architecture, self.schema,
            inference=self.recipe.inference, num_rows=self.facts.rows.train,
        )  # fmt: skip
        if self.predictor is not None:
            save_predictor(run.path, self.predictor)

    def serving(self, rows: Datum, key: PRNGKeyArray) -> tuple[AbstractPair, PRNGKeyArray]:
        """The pair whose guide serves the rows, and the key for what is drawn by it."""
        inference = self.recipe.inference
        if not isinstance(inference, AbstractAmortized) or inference.claims.serves_unseen:
            return self.pair, key
        _, bound, gradient, _ = completed(self.recipe)
        fit_key, draw_key = jax.random.split(key)
        return inference.fitted_to(self.pair, rows, bound, gradient, fit_key), draw_key

    def _by(self, coded: Callable[..., Array], rows: Any) -> Array:
        """What the encoder makes of one row or many."""
        x, single = as_array(rows, self)
        with self._precision(x):
            pair, *beside = self._encoding(x, rows)
            made = coded(pair, x, *beside)
        return made[0] if single else made

    def _encoding(self, x: Any, rows: Any) -> tuple[AbstractPair, Any, Any]:
        """The pair whose guide serves the rows, their numbers where it goes by them, and their mask."""
        mask = self._taken(mask_of(x))
        if self.recipe.inference.claims.serves_unseen:
            return self.pair, None, mask
        numbers = rows.index if isinstance(rows, Dataset) else np.arange(len(x), dtype=np.int32)
        index = jnp.asarray(numbers)
        return self.serving(Datum(jnp.asarray(x), mask, index=index), as_key(0))[0], index, mask

    def _taken(self, mask: Any) -> Any:
        """The mask of some rows, refused where the model takes none."""
        if mask is None or self.architecture.takes_holes or np.all(mask):
            return mask
        raise InputError(
            f"a value in every cell for the model {self.architecture.name}",
            f"{int(np.sum(~np.asarray(mask)))} missing",
            "leaving out the rows that have some", where="rows",
        )  # fmt: skip

    @property
    def _without_bound(self) -> bool:
        """Whether the density was found to have no bound where it was fitted."""
        fitted = self.estimates.get("log_evidence")
        return fitted is not None and NO_BOUND in fitted.flags

    def _rows(self, rows: Any) -> Datum:
        given = as_datum(rows, self)
        self._taken(given.mask)
        return given

    def _precision(self, *given: Any) -> Any:
        # A caller who is tracing has chosen the precision already.
        if self.precision != "float64" or any(isinstance(g, Tracer) for g in given):
            return contextlib.nullcontext()
        return jax.enable_x64(True)
