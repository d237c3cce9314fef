"""Which gradient estimator to take: bias, variance and cost of each, at one model and batch.

The rows are fixed and the draws repeated, so that the variance is that of the draws alone. The reference
is exact where all outcomes can be enumerated, else a long average of an unbiased estimator, of which
every repeat gets a part of its own. Estimators with a state of their own (baselines, temperatures) are
given steps to learn it while the parameters stay.

Variance x cost compares estimators at equal time: averaging c times as many draws divides the variance
by c. Cost is the median time of a step; counted evaluations stand beside it, which no machine moves.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import PRNGKeyArray

from taut.audit.gradient_moments import GradientMoments, gradient_moments
from taut.bounds import AbstractBound
from taut.core import AbstractPair, Datum, InputError, as_proposal, check_count, num_rows, option
from taut.gradients import ESTIMATORS, AbstractEstimator, Evaluations
from taut.guides import QuantizedPair
from taut.inference.amortized import batch_surrogate, joint, reach

__all__ = ["GradientBench", "GradientMeasure", "gradient_bench"]

_EXACT = "enumeration"
_ROUNDS = 15  # of timing, alternated
_REFERENCE_SHARE = 20  # draws of the reference for each repeat


class GradientMeasure(NamedTuple):
    """One estimator.

    Attributes:
        name: in `ESTIMATORS`, or as the caller named it.
        moments: by group of parameters: `model`, `guide`, or `shared` by both.
        evaluations: of model and guide, per row and step.
        milliseconds: median time of the gradient of the batch.
        departure: how the estimator itself says that its mean differs; None if it does not.
    """

    name: str
    moments: Mapping[str, GradientMoments]
    evaluations: Evaluations
    milliseconds: float
    departure: str | None

    @property
    def biased(self) -> bool:
        """True where some group is measurably biased."""
        return any(m.biased for m in self.moments.values())

    def variance_times_cost(self, group: str) -> float:
        """Variance x milliseconds."""
        return self.moments[group].variance * self.milliseconds


class GradientBench(NamedTuple):
    """All estimators at one model and batch.

    Attributes:
        measures: those that serve the pair and the bound.
        refused: the others, by name, with the reason.
        reference: in words, what bias is measured against.
        group: the group of parameters that the recommendation looks at.
        recommended: name of an estimator; None where all are biased.
        why: in words.
    """

    measures: tuple[GradientMeasure, ...]
    refused: Mapping[str, InputError]
    reference: str
    group: str
    recommended: str | None
    why: str


class _Served(NamedTuple):
    """An estimator that serves, and the gradient of its batch surrogate by group."""

    estimator: AbstractEstimator
    gradient: Callable[[PRNGKeyArray], Mapping[str, Any]]


def gradient_bench(
    pair: AbstractPair,
    rows: Datum,
    bound: AbstractBound,
    *,
    estimators: Mapping[str, AbstractEstimator] | None = None,
    key: PRNGKeyArray,
    num_repeats: int = 100,
    learning_steps: int = 300,
    step: int = 2**30,
) -> GradientBench:
    """Measure every estimator on the same rows.

    Arguments:
        pair: model and guide, as they are.
        rows: a batch, held fixed.
        bound: what is differentiated; estimators of several draws need as many.
        estimators: by name; all of `ESTIMATORS` with their defaults when None.
        key: random key.
        num_repeats: independent gradients of each, at least 10; errors fall with its root.
        learning_steps: steps in which baselines and temperatures learn, the parameters held.
        step: the number of the step that warm-ups and schedules are taken at; their end by default.

    Raises:
        InputError: too few repeats, a vector-quantized pair, or no estimator serves.
    """
    if isinstance(pair, QuantizedPair):
        raise InputError(
            "a model whose gradient can be estimated in several ways",
            "vector quantization, which has one",
            f"{option('model', 'discrete')} with categorical latents", where="gradients",
        )  # fmt: skip
    num_repeats = check_count(
        num_repeats, "at least 10 repeats", "100", where=option("num_repeats"), least=10
    )
    wish, where = "a number of steps of at least 0", "learning_steps"
    learning_steps = check_count(learning_steps, wish, "300", where=where, least=0)
    chosen = {n: e() for n, e in ESTIMATORS.items()} if estimators is None else dict(estimators)
    arrays, static = eqx.partition(pair, eqx.is_array)
    pair = eqx.combine(jax.tree.map(jnp.asarray, arrays), static)
    rows = jax.tree.map(jnp.asarray, rows)
    learn_key, reference_key, repeat_key = jax.random.split(key, 3)
    served: dict[str, _Served] = {}
    refused: dict[str, InputError] = {}
    for name, estimator in chosen.items():
        try:
            served[name] = _serve(pair, rows, bound, estimator, learn_key, learning_steps, step)
        except InputError as error:
            refused[name] = error
    if not served:
        said = "; ".join(error.sentences.rstrip(".") for error in refused.values())
        raise InputError(
            "an estimator that serves this model and bound",
            f"none: {said}" if said else "none",
            "another bound or more draws", where="gradients",
        )  # fmt: skip
    references, words = _references(bound, served, reference_key, num_repeats)
    milliseconds = _timed({name: one.gradient for name, one in served.items()})
    measures = []
    for i, (name, one) in enumerate(served.items()):
        drawn = _repeated(one.gradient, jax.random.fold_in(repeat_key, i), num_repeats)
        q = _proposal(pair, rows)
        measures.append(
            GradientMeasure(
                name=name,
                moments={g: gradient_moments(drawn[g], references[g]) for g in drawn},
                evaluations=one.estimator.cost(bound, q),
                milliseconds=milliseconds[name],
                departure=one.estimator.departure(bound),
            )
        )
    group = "guide" if "guide" in references else next(iter(references))
    recommended, why = _recommend(measures, group)
    return GradientBench(tuple(measures), refused, words, group, recommended, why)


def _serve(
    pair: AbstractPair,
    rows: Datum,
    bound: AbstractBound,
    estimator: AbstractEstimator,
    key: PRNGKeyArray,
    learning_steps: int,
    step: int,
) -> _Served:
    """Let the estimator learn its own state, and make its gradient.

    Raises:
        InputError: the estimator refuses the guide or the bound.
    """
    arrays, static = eqx.partition(pair, eqx.is_inexact_array)
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    algorithm = joint(
        pair, bound, estimator, optax.set_to_zero(), example=example, key=key
    )  # the parameters stay
    state = algorithm.init()
    jax.eval_shape(algorithm.step, state, rows)  # refusals come before anything is compiled
    shapes = eqx.filter_eval_shape(estimator.init, key, example, pair.bind()[1])
    aux_arrays, aux_static = eqx.partition(shapes, lambda v: isinstance(v, jax.ShapeDtypeStruct))
    if jax.tree.leaves(aux_arrays):
        advance = jax.jit(
            lambda s: jax.lax.fori_loop(
                0, learning_steps, lambda _, t: algorithm.step(t, rows)[0], s
            )
        )
        state = advance(state)
    aux = eqx.combine(state.aux, aux_static)
    groups = _groups(pair)

    @jax.jit
    def gradient(draw_key: PRNGKeyArray) -> Mapping[str, Any]:
        def surrogate(live: Any) -> Any:
            model, guide = eqx.combine(live, static).bind()

            def one(datum: Datum, datum_key: PRNGKeyArray) -> Any:
                return estimator(bound, model, guide, datum, datum_key, step=step, aux=aux)

            keys = jax.random.split(draw_key, num_rows(rows))
            return batch_surrogate(one, rows, keys).surrogate

        found = jax.grad(surrogate)(arrays)
        return {name: ravel_pytree(eqx.filter(found, mask))[0] for name, mask in groups.items()}

    return _Served(estimator, gradient)


def _groups(pair: AbstractPair) -> dict[str, Any]:
    """Masks over the pair's floating-point arrays: of the model, of the guide, of both."""
    sides = reach(pair)
    masks = {
        "model": jax.tree.map(lambda m, g: m and not g, sides.model, sides.guide),
        "guide": jax.tree.map(lambda m, g: g and not m, sides.model, sides.guide),
        "shared": jax.tree.map(lambda m, g: m and g, sides.model, sides.guide),
    }
    return {name: mask for name, mask in masks.items() if any(jax.tree.leaves(mask))}


def _references(
    bound: AbstractBound,
    served: Mapping[str, _Served],
    key: PRNGKeyArray,
    num_repeats: int,
) -> tuple[dict[str, np.ndarray], str]:
    """Gradients to measure against by group, (1, P) if exact or (num_repeats, P), and what they are."""
    if _EXACT in served:
        exact = served[_EXACT].gradient(key)
        return {g: np.asarray(v)[None] for g, v in exact.items()}, "exact, by enumeration"
    unbiased = [name for name, one in served.items() if _claims_all(one.estimator, bound)]
    if not unbiased:
        raise InputError(
            f"an unbiased estimator for the bound {bound.name}, to measure others against",
            f"only {', '.join(served)}", "adding one, such as reparameterized or score-function",
            where="gradients",
        )  # fmt: skip
    pilot_key, key = jax.random.split(key)
    spread = {}
    for name in unbiased:
        drawn = _repeated(served[name].gradient, pilot_key, 10)
        spread[name] = sum(float(np.var(v, axis=0).sum()) for v in drawn.values())
    best = min(unbiased, key=lambda name: spread[name])
    blocks = _repeated(served[best].gradient, key, num_repeats, average=_REFERENCE_SHARE)
    return blocks, f"the mean of {num_repeats * _REFERENCE_SHARE} draws of {best}"


def _claims_all(estimator: AbstractEstimator, bound: AbstractBound) -> bool:
    claimed = [c for c in estimator.claims if c.bound == bound.name]
    whole = any(c.model == "unbiased" and c.guide == "unbiased" for c in claimed)
    return whole and estimator.departure(bound) is None


def _repeated(
    gradient: Callable[[PRNGKeyArray], Mapping[str, Any]],
    key: PRNGKeyArray,
    count: int,
    *,
    average: int = 1,
) -> dict[str, np.ndarray]:
    """Independent gradients by group, (count, P), each the mean of `average` draws."""

    @jax.jit
    def mean(block_key: PRNGKeyArray) -> Mapping[str, Any]:
        def add(i: Any, total: Any) -> Any:
            return jax.tree.map(jnp.add, total, gradient(jax.random.fold_in(block_key, i)))

        zero = jax.tree.map(jnp.zeros_like, jax.eval_shape(gradient, block_key))
        total = jax.lax.fori_loop(0, average, add, zero)
        return jax.tree.map(lambda t: t / average, total)

    rows = [jax.tree.map(np.asarray, mean(k)) for k in jax.random.split(key, count)]
    return {group: np.stack([row[group] for row in rows]) for group in rows[0]}


def _timed(gradients: Mapping[str, Callable[[PRNGKeyArray], Any]]) -> dict[str, float]:
    """Median milliseconds of each, asked in turn so that a busy moment meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in gradients}
    for i in range(_ROUNDS + 1):
        for name, gradient in gradients.items():
            started = time.perf_counter()
            jax.block_until_ready(gradient(jax.random.key(i)))
            if i > 0:  # the first compiles
                seconds[name].append(time.perf_counter() - started)
    return {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}


def _proposal(pair: AbstractPair, rows: Datum) -> Any:
    _, guide = pair.bind()
    return as_proposal(guide(jax.tree.map(lambda leaf: leaf[0], rows)))


def _recommend(measures: Sequence[GradientMeasure], group: str) -> tuple[str | None, str]:
    sound = sorted(
        (m for m in measures if not m.biased), key=lambda m: m.variance_times_cost(group)
    )
    if not sound:
        return None, "every estimator that serves is measurably biased here"
    best = sound[0]
    why = f"no bias measured, least variance x time in the {group}'s parameters"
    if len(sound) > 1 and best.variance_times_cost(group) > 0:
        ratio = sound[1].variance_times_cost(group) / best.variance_times_cost(group)
        why += f", {ratio:.3g} times below {sound[1].name}"
    least = best.variance_times_cost(group)
    cheaper = [m for m in measures if m.biased and m.variance_times_cost(group) < least]
    if cheaper:
        why += f"; {', '.join(m.name for m in cheaper)} would be below it, but biased"
    return best.name, why
