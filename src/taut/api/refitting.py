"""`taut.refit_prior`: another prior for a finished model, encoder and decoder as they are."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from taut.architectures import VAE
from taut.core import (
    Datum,
    Estimate,
    InputError,
    Pair,
    as_key,
    check_count,
    host_seed,
    num_rows,
    option,
    paired_difference,
)
from taut.core.provenance import device, versions
from taut.data import Data, Dataset
from taut.data.load import loaded
from taut.evidence.measuring import measure
from taut.fitted import Fit
from taut.fitted.below_columns import below_columns_note
from taut.fitted.given_rows import as_drawn
from taut.fitted.own_data import refuse_another_split
from taut.fitted.predicting import measured_again
from taut.guides import AmortizedGuide, VampPair
from taut.inference import Refined
from taut.inference.amortized.prior_ascent import (
    expected_log_prior,
    features_of,
    latents_of,
    prior_ascent,
    prior_gain,
    started_prior,
)
from taut.program_cache import compilation_cache
from taut.runs import RunFolder
from taut.training import Loop, Recorder, train
from taut.training.loop import start

__all__ = ["Refitted", "refit_prior"]

_BATCH = 128
_CHECKS = 40  # validations in all
_PATIENCE = 6  # of them without a gain
_DRAWS = 16  # of each test row, for the ELBO
_MOST_ROWS = 1000  # test rows whose evidence is refined twice, at random: a file may be sorted


class Refitted(NamedTuple):
    """What a refit found.

    Attributes:
        fit: the model with the fitted prior where it is kept, else as it came; measured as any fit is.
        gains: fitted prior minus old one on the same held-out rows, paired by row: `elbo` on all of
            them, and `log_evidence` by refined importance sampling of at most 1000, drawn at random.
        kept: whether validation rows gain ELBO by the fitted prior.
    """

    fit: Fit
    gains: dict[str, Estimate]
    kept: bool


@compilation_cache()
def refit_prior(
    fitted: Fit,
    data: Any,
    *,
    prior: str,
    steps: int = 3000,
    learning_rate: float = 2e-3,
    num_particles: int = 500,
    key: int | PRNGKeyArray = 0,
    out: Path | str | None = None,
    force: bool = False,
    origin: str = "",
    progress: Callable[[Any], None] | None = None,
) -> Refitted:
    """Fit a prior to the posteriors of the training rows, and say what it gains on held-out ones.

    A prior of the kind and size that the model has is fitted on from where it is; another one starts at
    rows, or at clusters of latents.
    The ascent stops where validation rows gain no more. Where they gain nothing over the prior that the
    model came with (E_q log p(z) at the same draws), that one stays; on test rows, and in evidence, a
    gain is not certain.

    Arguments:
        fitted: a VAE with an encoder.
        data: those that it was fitted to: a `Data`, or what `taut.fit` was given.
        prior: `vamp:500`, `mixture:100`, `flow:affine-coupling:4`, ...
        steps: of the ascent, at most.
        learning_rate: of Adam.
        num_particles: draws of each row's evidence, for the gain in it.
        key: whole number or random key.
        out: run folder to write; None writes nothing.
        force: replace a run that is there.
        origin: name of the run that is refitted, for its facts and notes.
        progress: called about twice a second.

    Raises:
        InputError: a model without an encoder or of another kind, other data, or a prior that does not
            go with them.
    """
    old = _checked(fitted)
    _check_numbers(steps, num_particles, learning_rate)
    with (
        RunFolder.for_writing(out, force=force),
        jax.enable_x64(fitted.precision == "float64"),
    ):
        rows = _rows(fitted, data)
        keys = _Keys(*jax.random.split(as_key(key), len(_Keys._fields)))
        architecture = replace(fitted.architecture, prior=prior)
        made: Any = architecture.init(fitted.schema, keys.prior)
        features = features_of(old.guide, rows.train)
        begun = _started(old, made, rows.train, features, keys)
        seen = features_of(old.guide, rows.validation)
        loop = Loop(
            num_steps=steps, batch_size=min(_BATCH, len(features.x)), seed=host_seed(keys.batches),
            validate_every=max(1, steps // _CHECKS), patience=_PATIENCE,
        )  # fmt: skip
        ascended = _ascended(begun, features, seen, loop, learning_rate, keys, progress)
        trained = time.perf_counter()
        judged = prior_gain(ascended.pair, old, seen, key=keys.validation, num_draws=_DRAWS)
        gains = _gains(old, ascended.pair, rows.test, num_particles, keys.evaluation)
        kept = judged.value > 0
        pair = ascended.pair if kept else old
        if not kept:
            architecture = fitted.architecture
        particles = fitted.recipe.evidence.evidence_particles
        estimates, method, drawn = measure(
            pair, rows.given, rows.train, rows.test, keys.evaluation, particles,
            refined=partial(Refined(particles), pair, key=keys.evaluation)
            if len(rows.test.x) <= _MOST_ROWS else None,
        )  # fmt: skip
    note = _note(fitted, prior, origin, judged, gains)
    below = below_columns_note(estimates, architecture, ended="" if kept else fitted.facts.ended)
    facts = replace(
        fitted.facts, evaluation_seconds=time.perf_counter() - trained, device=device(),
        versions=versions(), particles=drawn, evidence_method=method, refitted_from=origin,
        notes=tuple(dict.fromkeys((note, *(() if kept else fitted.facts.notes), *below))),
    )  # fmt: skip
    if kept:
        facts = replace(
            facts, steps=ascended.steps, best_step=ascended.best_step,
            training_seconds=ascended.seconds, ended="",
        )  # fmt: skip
    result = replace(
        fitted, pair=pair, architecture=architecture, facts=facts, estimates=estimates,
        recipe=replace(fitted.recipe, model=architecture, data=rows.given.options),
        history=() if kept else fitted.history,
    )  # fmt: skip
    result = measured_again(result, rows.given)
    if out is not None:
        result.save(out, force=force)
    return Refitted(result, gains, kept)


class _Keys(NamedTuple):
    """Random keys, each for what it is called.

    Attributes:
        prior: of its first parameters.
        latents: that it starts at.
        clusters: of these.
        ascent: its draws.
        batches: order of the rows.
        validation: draws by which a prior is chosen.
        evaluation: draws of the estimates, and of the gains.
    """

    prior: PRNGKeyArray
    latents: PRNGKeyArray
    clusters: PRNGKeyArray
    ascent: PRNGKeyArray
    batches: PRNGKeyArray
    validation: PRNGKeyArray
    evaluation: PRNGKeyArray


class _Rows(NamedTuple):
    train: Datum
    validation: Datum
    test: Datum
    given: Data


class _Ascended(NamedTuple):
    """What the ascent of a prior found.

    Attributes:
        pair: with the prior that validation rows have the highest log-density of.
        steps: taken.
        best_step: that reached it.
        seconds: wall time.
    """

    pair: Any
    steps: int
    best_step: int
    seconds: float


def _started(old: Any, made: Any, rows: Datum, features: Datum, keys: _Keys) -> Any:
    """The pair with the prior where its ascent starts.

    Arguments:
        old: the pair with the prior that it came with.
        made: a pair with a prior of the kind that is fitted.
        rows: training rows.
        features: of the rows.
        keys: of the start.
    """
    begun, own = made.model.prior_family, old.model.prior_family
    if _form(begun) == _form(own):
        begun = own
    else:
        drawn = latents_of(old.guide, features, key=keys.latents)
        begun = started_prior(begun, rows, drawn, seed=host_seed(keys.clusters))
    return type(made)(replace(old.model, prior_family=begun), old.guide)


def _ascended(
    begun: Any,
    features: Datum,
    seen: Datum,
    loop: Loop,
    learning_rate: float,
    keys: _Keys,
    progress: Callable[[Any], None] | None,
) -> _Ascended:
    """The prior after its ascent, which shrinks along a cosine.

    Arguments:
        begun: the pair with the prior where it starts.
        features: of the training rows.
        seen: features of the validation rows.
        loop: steps, batches and validations.
        learning_rate: of Adam.
        keys: of the draws.
        progress: called about twice a second.
    """
    rate = optax.cosine_decay_schedule(learning_rate, loop.num_steps)
    algorithm = prior_ascent(begun, optax.adam(rate), key=keys.ascent)
    tick = time.perf_counter()
    validate = partial(expected_log_prior, features=seen, key=keys.validation)
    state = train(
        algorithm, features, loop, recorder=Recorder(progress=progress), validate=validate,
        state=start(algorithm, value=validate(begun).value),
    )  # fmt: skip
    seconds = time.perf_counter() - tick
    pair = eqx.combine(state.best, eqx.partition(begun, eqx.is_array)[1])
    return _Ascended(pair, int(state.step), int(state.best_step), seconds)


def _form(prior: Any) -> Any:
    """What two priors have in common that differ in their numbers alone."""
    arrays, static = eqx.partition(prior, eqx.is_array)
    return jax.tree.map(lambda a: (a.shape, a.dtype), arrays), jax.tree.structure(static)


def _checked(fitted: Fit) -> Any:
    """The pair, with its arrays on the device."""
    pair: Any = fitted.pair
    usable = isinstance(fitted.architecture, VAE) and isinstance(pair, Pair | VampPair)
    if not usable or not isinstance(pair.guide, AmortizedGuide):
        what = f"{fitted.architecture.name} by {fitted.recipe.inference.name}"
        raise InputError(
            "a vae with an encoder, whose posteriors a prior is fitted to", what,
            "taut.fit(data, model='vae', prior=...), which fits both together", where="refit-prior",
        )  # fmt: skip
    return jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, pair)


def _check_numbers(steps: int, num_particles: int, learning_rate: float) -> None:
    """Refuse numbers that no ascent or evidence is made with."""
    for name, value, least in (("steps", steps, 1), ("num_particles", num_particles, 2)):
        check_count(value, f"at least {least}", f"{least}", where=option(name), least=least)
    if not 0 < learning_rate < float("inf"):
        raise InputError(
            "a positive number", f"{learning_rate}", "2e-3", where=option("learning_rate")
        )


def _rows(fitted: Fit, data: Any) -> _Rows:
    """Training, validation and test rows of the data that the model was fitted to."""
    options = fitted.recipe.data
    given = data if isinstance(data, Data) else loaded(data, replace(options, source=None))
    known = fitted.facts.checksum
    if given.schema != fitted.schema or (known and given.checksum != known):
        raise InputError(
            "the data that the model was fitted to, split as they were then", given.describe(),
            "what was given to taut.fit", where="data",
        )  # fmt: skip
    refuse_another_split(fitted, given, where="data")
    if not isinstance(given.train, Dataset):
        raise InputError(
            "training rows in memory, whose posteriors are drawn from", "rows that stay on disk",
            "data loaded with stream='no'", where="data",
        )  # fmt: skip

    def datum(part: Dataset) -> Datum:
        rows = as_drawn(part, fitted).datum()
        return Datum(np.asarray(rows.x, fitted.precision), rows.mask, None, rows.index)

    train, validation, test = map(datum, (given.train, given.validation, given.test))
    return _Rows(train, validation, test, given)


def _gains(
    old: Any, new: Any, rows: Datum, num_particles: int, key: PRNGKeyArray
) -> dict[str, Estimate]:
    """New minus old, by row, from the same draws of the encoder."""
    elbo = prior_gain(new, old, features_of(old.guide, rows), key=key, num_draws=_DRAWS)
    order = jax.random.permutation(jax.random.fold_in(key, 0), num_rows(rows))
    chosen = np.sort(np.asarray(order)[:_MOST_ROWS])
    some = jax.tree.map(lambda leaf: leaf[chosen], rows)
    evidences = [Refined(num_particles)(p, some, key=key).log_evidence for p in (new, old)]
    return {"elbo": elbo, "log_evidence": paired_difference(*evidences)}


def _note(
    fitted: Fit, prior: str, origin: str, judged: Estimate, gains: dict[str, Estimate]
) -> str:
    """What was done, in words."""
    before: Any = fitted.architecture
    named = before.prior if isinstance(before.prior, str) else type(before.prior).__name__
    of = f" of {origin}" if origin else ""
    words = [
        f"{gains[name].value:+.2f} nats per row of {what} (± {gains[name].data_error:.2f} over rows)"
        for name, what in (("elbo", "ELBO"), ("log_evidence", "log-evidence"))
    ]
    if judged.value > 0:
        return (
            f"only the prior {prior} was fitted, to a model{of} whose encoder and decoder came with "
            f"{named}: on held-out rows {words[0]} and {words[1]}"
        )
    return (
        f"the model{of} keeps the prior {named}: {prior} was fitted to it, by which validation rows "
        f"gain {judged.value:+.2f} nats of ELBO; on held-out rows {words[0]} and {words[1]}"
    )
