"""`Fit`: a fitted model and guide, with what people do with them.

Rows go in as a `Dataset`, a NumPy array, a JAX array or a data frame of numbers, in the data's own
units: one row (of the data's shape) or many (a leading axis). What comes back has the same leading
axis. `encode` and `decode` are differentiable JAX functions of one row or many.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from taut.architectures import AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, Estimate, InputError, as_key, as_proposal
from taut.data import Dataset, Schema
from taut.evidence import EVIDENCE, Evidence, expected_bound
from taut.evidence.measuring import importance_evidence
from taut.fitted.facts import FitFacts, read_facts
from taut.recipe import Recipe, recipe_from
from taut.runs import RunFolder, load_pair, read_structure, save_pair

__all__ = ["Fit", "load"]


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
    """

    pair: AbstractPair
    architecture: AbstractArchitecture
    schema: Schema
    facts: FitFacts
    recipe: Recipe = field(default_factory=Recipe)
    history: tuple[Mapping[str, Any], ...] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    precision: str = "float32"

    def bound(
        self, rows: Any, bound: AbstractBound, *, key: Any = 0, num_repeats: int = 16
    ) -> Estimate:
        """Any bound on given rows, averaged over independent repeats; nats per row."""
        with self._precision():
            return expected_bound(
                self.pair, self._rows(rows), bound, key=as_key(key), num_repeats=num_repeats
            )

    def evidence(
        self, rows: Any, *, num_particles: int = 1000, method: str = "importance", key: Any = 0
    ) -> Estimate:
        """Log-evidence of the rows, nats per row.

        Exact where the model has it in closed form; else a lower bound in expectation over the draws.

        Arguments:
            rows: see the module.
            num_particles: draws per row.
            method: `importance` from the guide, or `monte-carlo` from the prior.
            key: whole number or random key.
        """
        return self.evaluate(rows, num_particles=num_particles, method=method, key=key).log_evidence

    def evaluate(
        self, rows: Any, *, num_particles: int = 1000, method: str = "importance", key: Any = 0
    ) -> Evidence:
        """The same with ELBO, KL, effective sample sizes and Pareto k-hats."""
        if method not in EVIDENCE:
            raise InputError(
                f"one of {', '.join(EVIDENCE)}", repr(method), "importance", where="method"
            )
        estimator = importance_evidence if method == "importance" else EVIDENCE[method]
        with self._precision():
            return estimator(
                self.pair, self._rows(rows), key=as_key(key), num_particles=num_particles
            )

    def encode(self, rows: Any) -> Float[Array, "... d"]:
        """Mean of q(z | x): (d,) for one row, (N, d) for many. Differentiable.

        Where the mean has no closed form it is the point that the proposal names (`center`): the
        image of the base's mean under a flow, the means of a ladder given those of the layers above,
        one path from a fixed key through a chain that draws.
        """
        x, single = self._x(rows)
        with self._precision(x):
            z = _encode(self.pair, x)
        return z[0] if single else z

    def decode(self, z: Float[Array | np.ndarray, "... d"]) -> Float[Array, "..."]:
        """E[x | z] in the data's units, for one z or many. Differentiable."""
        with self._precision(z):
            z = jnp.asarray(z)
            x = _decode(self.pair, z.reshape(-1, z.shape[-1]))
        return x.reshape(*z.shape[:-1], *self.schema.shape)

    def reconstruct(self, rows: Any) -> Float[Array, "..."]:
        """`decode(encode(rows))`."""
        return self.decode(self.encode(rows))

    def sample(self, num_samples: int, *, key: Any = 0, mean: bool = False) -> Array:
        """Draws x ~ p(x), (num_samples, *shape); with `mean`, E[x | z] of drawn z instead."""
        if num_samples < 1:
            raise InputError("at least one sample", f"{num_samples}", "64", where="num-samples")
        with self._precision():
            return _sample(self.pair, as_key(key), num_samples, mean=mean)

    def interpolate(self, first: Any, second: Any, *, num_steps: int = 10) -> Float[Array, "..."]:
        """E[x | z] along the straight line between the encodings of two rows, ends included."""
        if num_steps < 2:
            raise InputError("at least two steps", f"{num_steps}", "10", where="steps")
        ends = [self.encode(row).reshape(-1) for row in (first, second)]
        with self._precision():
            return self.decode(jnp.linspace(ends[0], ends[1], num_steps))

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write a run folder.

        Raises:
            InputError: the folder holds a run (see `force`) or something else.
        """
        run = RunFolder.create(path, self.recipe.to_dict(), force=force)
        for record in self.history:
            metrics = {
                k: np.asarray([v]) for k, v in record.items() if k not in ("step", "validation")
            }
            validation = record.get("validation")
            run.append_steps(record["step"], metrics, validation and Estimate.from_dict(validation))
        self.save_model(run)
        run.write_summary(self.estimates, self.facts.to_dict())
        return run.path

    def save_model(self, run: RunFolder) -> None:
        """Write the model's two files into a run folder."""
        save_pair(run.path, self.pair, self.architecture, self.schema)

    def _rows(self, rows: Any) -> Datum:
        if isinstance(rows, Datum):
            return rows
        if isinstance(rows, Dataset):
            return rows.datum()
        x, _ = self._x(rows)
        return Datum(np.asarray(x))

    def _x(self, rows: Any) -> tuple[Any, bool]:
        """The rows as an array with a leading axis, and whether there was one row without it."""
        if isinstance(rows, Dataset):
            rows = rows.x
        elif not hasattr(rows, "shape") or hasattr(rows, "columns"):
            rows = _frame_to_array(rows, self.schema)
        shape = self.schema.shape
        rows = (
            jnp.asarray(rows) if isinstance(rows, jax.Array) else np.asarray(rows, self.precision)
        )
        if rows.shape[-len(shape) :] != shape or rows.ndim not in (len(shape), len(shape) + 1):
            raise InputError(
                f"one row of shape {shape} or many",
                f"an array of shape {rows.shape}",
                "reshaping it, leading axis over rows",
                where="rows",
            )
        return rows.reshape(-1, *shape), rows.ndim == len(shape)

    def _precision(self, *given: Any) -> Any:
        # A caller who is tracing has chosen the precision already.
        if self.precision != "float64" or any(isinstance(g, Tracer) for g in given):
            return contextlib.nullcontext()
        return jax.enable_x64(True)


def load(path: Path | str, *, like: AbstractArchitecture | None = None) -> Fit:
    """A fit from its run folder. Runs no code from the files.

    Arguments:
        path: run folder.
        like: architecture that holds the parts a user wrote.

    Raises:
        InputError: the folder is not a finished run, damaged, newer, or needs `like`.
    """
    run = RunFolder.open(path)
    pair, architecture, schema = load_pair(run.path, like=like)
    estimates, content = run.read_summary()
    facts = read_facts(content, where=str(run.path))
    assert isinstance(facts, FitFacts)  # model.json said so
    return Fit(
        pair=pair,
        architecture=architecture,
        schema=schema,
        facts=facts,
        recipe=recipe_from(
            run.read_config(), where=str(run.path / "config.toml"), like=architecture, lenient=True
        ),
        history=tuple(run.read_steps()),
        estimates=estimates,
        precision=read_structure(run.path)["precision"],
    )


@eqx.filter_jit
def _encode(pair: AbstractPair, x: Float[Array | np.ndarray, "N ..."]) -> Float[Array, "N d"]:
    model, guide = pair.bind()

    return jax.vmap(lambda row: model.code(as_proposal(guide(Datum(row))).center()))(x)


@eqx.filter_jit
def _decode(pair: AbstractPair, z: Float[Array, "N d"]) -> Float[Array, "N ..."]:
    model, _ = pair.bind()
    return jax.vmap(model.mean)(z)


@eqx.filter_jit
def _sample(pair: AbstractPair, key: PRNGKeyArray, num_samples: int, *, mean: bool) -> Array:
    model, _ = pair.bind()
    z_key, x_key = jax.random.split(key)
    z = as_proposal(model.prior()).draw(z_key, num_samples).z
    if mean:
        return jax.vmap(model.mean)(z)
    return jax.vmap(model.sample)(z, jax.random.split(x_key, num_samples))


def _frame_to_array(rows: Any, schema: Schema) -> np.ndarray:
    import narwhals as nw

    try:
        frame = nw.from_native(rows, eager_only=True)
    except TypeError:
        return np.asarray(rows)
    columns = list(schema.columns or frame.columns)
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise InputError(
            f"the columns {', '.join(columns)}", f"none called '{missing[0]}'",
            "a frame with the columns that were fitted", where="rows",
        )  # fmt: skip
    return frame.select(columns).to_numpy()
