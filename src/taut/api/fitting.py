"""`taut.fit`: data in, fitted model and its honest numbers out."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from taut.architectures import ARCHITECTURES, VAE, AbstractArchitecture, Flow
from taut.audit.code_use import code_use
from taut.bounds import AbstractBound
from taut.core import Datum, Estimate, InputError, nearest
from taut.core.provenance import device, versions
from taut.data import Data, StreamedRows, load_data, steps_per_epoch
from taut.evidence import BASELINE_ROWS, expected_bound
from taut.evidence.measuring import measure
from taut.fitted.fit import Fit, as_key
from taut.gradients import AbstractEstimator
from taut.guides import QuantizedPair
from taut.inference import INFERENCES, AbstractAmortized, Joint, Problem, WakeSleep, departures
from taut.inference.amortized import averaged
from taut.inference.amortized.check import check_rows, check_step
from taut.inference.choices.wake_sleep import Phi
from taut.runs import save_checkpoint
from taut.training import (
    Loop,
    Plateau,
    Progress,
    Recorder,
    ScheduleName,
    TrainingState,
    schedule,
    train,
)
from taut.training.resuming import begin, fingerprint
from taut.transforms import Chain

__all__ = ["fit"]

Precision = Literal["float64", "float32", "bfloat16"]

_DEFAULT_STEPS = 6000  # enough for the bundled data to stop by itself
_DEFAULT_BATCH = 128
_VALIDATION_STEPS = 50  # at least, between two validations


def fit(
    data: Any,
    *,
    model: AbstractArchitecture | str | None = None,
    layers: str | Chain | None = None,
    bound: AbstractBound | None = None,
    gradient: AbstractEstimator | None = None,
    wake_sleep: Phi | None = None,
    optimizer: optax.GradientTransformation | None = None,
    learning_rate: float = 1e-3,
    learning_rate_schedule: ScheduleName = "constant",
    warmup_steps: int = 0,
    ema: float = 0.0,
    clip_norm: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validate_every: int | None = None,
    validation_bound: AbstractBound | None = None,
    patience: int = 20,
    num_particles: int = 1000,
    precision: Precision = "float32",
    key: int | PRNGKeyArray = 0,
    checkpoint_every: int = 1000,
    out: Path | str | None = None,
    force: bool = False,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Fit:
    """Maximise a bound on the training rows and measure it on the test rows.

    Arguments:
        data: a `Data`, or whatever `load_data` takes: a source by name, an array, a data frame.
        model: architecture, or the name of one with its defaults; a VAE when None.
        layers: of a flow, `model="flow"`: a line such as `spline-coupling:8`, or a `Chain`.
        bound: what is maximised; the ELBO with the architecture's number of draws when None.
        gradient: how it is differentiated; the architecture's own choice when None.
        wake_sleep: instead of differentiating a bound in the guide, fit it to weighted draws at the
            data (`wake`), to dreams of the model (`sleep`) or to `both`, while the model goes up the
            IWAE bound.
        optimizer: any Optax transformation that minimises; Adam at `learning_rate` when None.
        learning_rate: step size of Adam, after the warm-up.
        learning_rate_schedule: `constant`; `cosine`, falling to 0 at the last step; or `plateau`,
            halved after 5 validations without a better value.
        warmup_steps: steps over which the step size rises to `learning_rate`.
        ema: decay of the exponential moving average of the parameters that is validated, kept and
            reported; 0 keeps the parameters themselves.
        clip_norm: largest global norm of a gradient; None does not clip.
        epochs: passes over the training rows; None for about 6000 steps.
        batch_size: rows a step; None for 128 or all rows, if fewer.
        validate_every: steps between validations; None for the whole passes over the training rows
            that make at least 50.
        validation_bound: what stopping and the kept parameters are decided on; `bound` when None. An
            IWAE of many particles looks at the model rather than at an encoder that overfits.
        patience: validations without a better value before stopping, 0 never; the parameters with
            the best validation value are kept.
        num_particles: draws per test row for the final importance-sampled log-evidence.
        precision: `float64` or `float32` for all arithmetic; `bfloat16` for the matrix products of the
            networks, added up in float32, with all else in float32. Numbers at the end of a bfloat16
            fit are computed in float32.
        key: whole number or random key; everything random follows from it.
        checkpoint_every: steps between checkpoints in the run folder.
        out: run folder to write while fitting; None writes nothing.
        force: replace a run that is there.
        resume: go on with the run in `out` from its last checkpoint, with the same data and options.
        settings: what to write as config.toml instead of the arguments here.
        progress: called about twice a second.

    Returns:
        a `Fit`, whose `estimates` hold the held-out ELBO, reconstruction, KL, log-evidence, the
        independent-columns baseline and, for probabilities of images, bits per dimension.

    Raises:
        InputError: an option, the data, or a combination of parts cannot be used.
        RunError: the bound is not finite, for good, or the disk does not take a checkpoint.
        KeyboardInterrupt: Ctrl-C; a run folder holds a checkpoint of the last step.
    """
    model = _model(model, layers)
    inference = _inference(model, wake_sleep)
    bound = inference.default_bound(model) if bound is None else bound
    inference.check(model, bound, gradient)
    why = None
    if wake_sleep is None and gradient is None:
        gradient, why = model.gradient(bound)
    data = data if isinstance(data, Data) else load_data(data)
    _check_options(
        learning_rate, clip_norm, epochs, patience, num_particles, precision, checkpoint_every
    )
    storage = "float64" if precision == "float64" else "float32"
    with jax.enable_x64(precision == "float64"):
        architecture, reasons = model.resolved(data.schema)
        name = data.schema.name
        parts = {"training": data.train, "validation": data.validation, "test": data.test}
        redraw = data.schema.binarize == "dynamic"
        for part, rows in parts.items():
            if redraw and part == "training":
                continue  # still grey; the model sees binary draws of it
            check_rows(architecture, rows, where=f"{name}, {part} rows")
        train_rows = (
            replace(data.train, dtype=storage)
            if isinstance(data.train, StreamedRows)
            else _datum(data.train.datum(), storage)
        )
        validation_rows, test_rows = (
            _datum(d.datum(), storage) for d in (data.validation, data.test)
        )
        example = _datum(data.train[:1].datum(), storage)
        batch_size = min(_DEFAULT_BATCH, len(data.train)) if batch_size is None else batch_size
        per_epoch = steps_per_epoch(len(data.train), batch_size)
        epochs = max(1, math.ceil(_DEFAULT_STEPS / per_epoch)) if epochs is None else epochs
        rate = schedule(
            learning_rate_schedule,
            learning_rate,
            num_steps=epochs * per_epoch,
            warmup_steps=warmup_steps,
        )

        init_key, train_key, order_key, validation_key, test_key = jax.random.split(as_key(key), 5)
        pair = architecture.init(data.schema, init_key)
        pair = architecture.start(
            pair,
            _datum(train_rows.sample(BASELINE_ROWS).datum(), storage)
            if isinstance(train_rows, StreamedRows)
            else train_rows,
        )
        example = jax.tree.map(lambda leaf: leaf[0], example)
        if gradient is not None:
            check_step(pair, bound, gradient, example)
        algorithm = inference.algorithm(
            Problem(
                architecture=architecture,
                pair=pair,
                bound=bound,
                gradient=gradient,
                optimizer=_optimizer(optimizer, rate, clip_norm),
                example=example,
                key=train_key,
                prepare=_redrawn if redraw else None,
            )
        )
        algorithm = averaged(algorithm, ema) if ema else algorithm
        loop = Loop(
            num_steps=epochs * per_epoch,
            batch_size=batch_size,
            seed=int(jax.random.bits(order_key, dtype=np.uint32)),
            validate_every=validate_every or per_epoch * math.ceil(_VALIDATION_STEPS / per_epoch),
            patience=patience,
            plateau=Plateau() if learning_rate_schedule == "plateau" else None,
            checkpoint_every=checkpoint_every,
        )
        chosen = dict(settings) if settings is not None else {
            "data": data.source, **_plain_settings(architecture, bound, gradient),
            "wake_sleep": wake_sleep,
            "learning_rate": learning_rate,
            "learning_rate_schedule": learning_rate_schedule, "warmup_steps": warmup_steps,
            "ema": ema, "epochs": epochs, "batch_size": batch_size,
            "patience": patience, "precision": precision,
            "seed": key if isinstance(key, int) else None, "stream": "yes" if data.streamed else None,
        }  # fmt: skip
        run, history, state, resumed = begin(
            out, chosen, algorithm, data, force=force, resume=resume
        )

        def record(first: int, metrics: dict[str, np.ndarray], validation: Estimate | None) -> None:
            for i in range(len(metrics["bound"])):
                history.append({"step": first + i, **{n: float(v[i]) for n, v in metrics.items()}})
            if validation is not None:
                history[-1]["validation"] = validation.to_dict()
            if run is not None:
                run.append_steps(first, metrics, validation)

        def keep(state: TrainingState) -> None:
            if run is not None:
                run.flush_steps()
                save_checkpoint(run.checkpoints, state, fingerprint=fingerprint(data, chosen))

        started = time.perf_counter()
        try:
            with _products(precision):
                state = train(
                    algorithm,
                    train_rows,
                    loop,
                    validate=lambda p: expected_bound(
                        p, validation_rows, validation_bound or bound, key=validation_key
                    ),
                    recorder=Recorder(record, progress, keep),
                    state=state,
                )
        except KeyboardInterrupt as interrupt:
            if run is None or not str(interrupt):
                raise
            raise KeyboardInterrupt(f"{interrupt}; `taut resume {run.path}` goes on") from None
        trained = time.perf_counter()
        _, static = eqx.partition(pair, eqx.is_array)
        pair = eqx.combine(state.best, static)
        if isinstance(train_rows, StreamedRows):
            train_rows = _datum(train_rows.sample(BASELINE_ROWS).datum(), storage)
        estimates = measure(pair, data, train_rows, test_rows, test_key, num_particles)
        finished = time.perf_counter()

    steps = int(state.step)
    facts: dict[str, Any] = {
        "rows": f"{len(data.train)} train, {len(data.validation)} validation, {len(data.test)} test",
        "steps": steps,
        "best step": int(state.best_step),
        "training seconds": round(trained - started, 2),
        "evaluation seconds": round(finished - trained, 2),
        "device": device(),
        "versions": versions(),
        "particles": num_particles,
    }
    facts |= {f"{choice} chosen because": reason for choice, reason in reasons.items()}
    if gradient is not None and why is not None:
        facts["gradient"] = f"{gradient.name}: {why}"
    notes = (*data.notes, *resumed)
    facts |= {f"note {i}": note for i, note in enumerate(notes, start=1)}
    if isinstance(pair, QuantizedPair):
        facts["codes"] = str(code_use(pair, test_rows))
    facts |= departures(inference, architecture, bound, gradient, steps)
    result = Fit(
        pair=pair,
        architecture=architecture,
        schema=data.schema,
        settings=chosen,
        history=tuple(history),
        estimates=estimates,
        facts=facts,
        precision=storage,
    )
    if run is not None:
        result.save_model(run)
        run.write_summary(estimates, facts)
    return result


def _datum(rows: Datum, precision: str) -> Datum:
    """Observations in the precision of the run; labels are not the model's business."""
    return Datum(np.asarray(rows.x, precision), rows.mask, None, rows.index, rows.weight)


def _model(
    model: AbstractArchitecture | str | None, layers: str | Chain | None
) -> AbstractArchitecture:
    """The architecture that is meant."""
    if layers is not None:
        if model not in (None, "flow"):
            raise InputError(
                'model="flow" with layers', f"{model!r}", "taut.Flow(layers=...), or no layers",
                where="layers",
            )  # fmt: skip
        return Flow(layers=layers)
    if not isinstance(model, str):
        return VAE() if model is None else model
    if model not in ARCHITECTURES:
        raise InputError(
            f"an architecture, or one of {', '.join(ARCHITECTURES)}", repr(model),
            nearest(model, ARCHITECTURES), where="model",
        )  # fmt: skip
    return ARCHITECTURES[model]()


def _inference(architecture: AbstractArchitecture, wake_sleep: Phi | None) -> AbstractAmortized:
    """Wake-sleep where it is asked for, else the architecture's own, and joint ascent instead of EM."""
    if wake_sleep is not None:
        return WakeSleep(wake_sleep)
    own = INFERENCES[architecture.default_inference]()
    return own if isinstance(own, AbstractAmortized) else Joint()


def _products(precision: str) -> contextlib.AbstractContextManager[Any]:
    """Where the matrix products are made in the precision that was asked for."""
    if precision == "bfloat16":
        return jax.default_matmul_precision("bfloat16")
    return contextlib.nullcontext()


def _redrawn(datum: Datum, key: PRNGKeyArray) -> Datum:
    """Dynamic binarization: grey values as probabilities of a new binary image."""
    x = jax.random.bernoulli(key, datum.x).astype(datum.x.dtype)
    return Datum(x, datum.mask, datum.label, datum.index, datum.weight)


def _optimizer(
    optimizer: optax.GradientTransformation | None,
    learning_rate: optax.Schedule | float,
    clip_norm: float | None,
) -> optax.GradientTransformation:
    optimizer = optax.adam(learning_rate) if optimizer is None else optimizer
    if clip_norm is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def _plain_settings(
    architecture: AbstractArchitecture, bound: AbstractBound, gradient: AbstractEstimator | None
) -> dict[str, Any]:
    choices = architecture.to_dict()
    named = {k: v["user"] if isinstance(v, dict) and "user" in v else v for k, v in choices.items()}
    options = {f.name: getattr(bound, f.name) for f in bound.__dataclass_fields__.values()}
    own = choices.get("likelihood_options", {})
    flat = {k: v for k, v in {**named, **own, **options}.items() if not isinstance(v, dict)}
    named_gradient = {} if gradient is None else {"gradient": gradient.name}
    return {"model": flat.pop("name"), **flat, "bound": bound.name, **named_gradient}


def _check_options(
    learning_rate: float,
    clip_norm: float | None,
    epochs: int | None,
    patience: int,
    num_particles: int,
    precision: str,
    checkpoint_every: int,
) -> None:
    def refuse(expected: str, got: Any, remedy: str, where: str) -> None:
        raise InputError(expected, f"{got}", remedy, where=where)

    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        refuse("a positive number", learning_rate, "0.001", "learning-rate")
    if clip_norm is not None and not clip_norm > 0:
        refuse("a positive number", clip_norm, "1", "clip-norm")
    if epochs is not None and epochs < 1:
        refuse("a whole number of at least 1", epochs, "100", "epochs")
    if checkpoint_every < 1:
        refuse("a whole number of at least 1", checkpoint_every, "1000", "checkpoint-every")
    if patience < 0:
        refuse("a whole number of at least 0", patience, "0 to never stop early", "patience")
    if num_particles < 2:
        refuse(
            "at least two particles, which an error needs", num_particles, "1000", "num-particles"
        )
    if precision not in get_args(Precision):
        refuse(f"one of {', '.join(get_args(Precision))}", repr(precision), "float32", "precision")
