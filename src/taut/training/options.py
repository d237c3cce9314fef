"""`TrainingOptions`: how the parameters are moved, for how long, and when they are looked at."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import optax

from taut.bounds import BOUNDS, IWAE, AbstractBound
from taut.core import (
    InputError,
    chosen,
    in_python,
    nearest,
    option,
    options_from_dict,
    options_to_dict,
)
from taut.training.optimizers import OPTIMIZERS
from taut.training.schedules import SCHEDULES, Plateau, ScheduleName, at_rate

__all__ = ["Precision", "TrainingOptions"]

Precision = Literal["float64", "float32", "bfloat16"]
HeadName = Literal["auto", "logistic", "propagation", "mixture-vae"]


def _bound_of(content: Any) -> AbstractBound:
    """A bound from its plain value; a number is that of an IWAE's particles."""
    return (
        IWAE(num_particles=content)
        if isinstance(content, int)
        else chosen(BOUNDS, content, "bound")
    )


@dataclass(frozen=True)
class TrainingOptions:
    """How parameters are moved.

    Attributes:
        optimizer: `adam`; `muon`, which makes the momentum of each weight matrix orthogonal and leaves
            the other parameters to Adam: some data need fewer of its steps, which take longer unless
            batches are large; or `sgd`. In Python also an Optax transformation that minimises,
            which brings a step size of its own. A schedule in one counts the updates that it made.
        learning_rate: step size, after the warm-up.
        learning_rate_schedule: `constant`; `cosine`, which falls to 0 at the last step; or
            `plateau`, which halves the step size after 5 validations without a better value.
            The first two follow the steps of the run, whichever side of it moves, and so do the
            parameters of rows that have their own.
        learning_rate_warmup: steps over which the step size rises from near 0; 0 for none.
        ema: weight of the past in a moving average of the parameters, such as 0.999, which is then
            validated, kept and reported; 0 for the parameters themselves.
        clip_norm: gradients with a larger norm are scaled down to this one; None for no clipping.
        epochs: passes over the training rows; None for as many as make 6000 steps.
        batch_size: rows of a step; None for 128, or all rows if there are fewer.
        patience: validations without a better value before training stops; 0 never stops early. The
            parameters with the best value are kept.
        validate_every: steps between validations; None for the whole epochs that make at least 50.
        validation_bound: draws of the importance-weighted bound that validation looks at, which an
            encoder that overfits moves less; None for the bound that is maximised. In Python also a
            bound.
        precision: `float32` or `float64` for all arithmetic; `bfloat16` for the matrix products of
            the networks alone, with float32 for the rest and for the numbers at the end.
        checkpoint_every: steps between checkpoints in the run folder.
        head: what learns a target of classes from latent features: `logistic` regression, of the rows
            that have one; `propagation` along the neighbours of all rows; `auto`, the one of them under
            which held-out labels are more probable; or `mixture-vae`, a second model of the features of
            all rows (M1+M2).
        hide: share of the rows of a batch of which cells are hidden, so that an encoder comes to know
            any pattern of missing ones; None for one half where a target is one of the columns and cells
            do not hide themselves, and for none elsewhere.
    """

    readers: ClassVar[Mapping[str, Any]] = {"validation_bound": _bound_of}

    optimizer: Any = "adam"
    learning_rate: float = 1e-3
    learning_rate_schedule: ScheduleName = "constant"
    learning_rate_warmup: int = 0
    ema: float = 0.0
    clip_norm: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    patience: int = 20
    validate_every: int | None = None
    validation_bound: AbstractBound | None = field(
        default=None, metadata={"flag": "validation_particles", "text": int}
    )
    precision: Precision = "float32"
    checkpoint_every: int = 1000
    head: HeadName = "auto"
    hide: float | None = None

    def __post_init__(self):
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            _refuse("a positive number", self.learning_rate, "0.001", "learning_rate")
        if self.clip_norm is not None and not self.clip_norm > 0:
            _refuse("a positive number", self.clip_norm, "1", "clip_norm")
        if not 0 <= self.ema < 1:
            _refuse("a number in [0, 1)", self.ema, "0.999", "ema")
        for name in ("epochs", "validate_every", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                _refuse("a whole number of at least 1", value, "100", name)
        if self.hide is not None and not 0 <= self.hide <= 1:
            _refuse("a share between 0 and 1", self.hide, "0.5", "hide")
        if self.patience < 0:
            _refuse(
                "a whole number of at least 0", self.patience, "0 to never stop early", "patience"
            )
        for name, value, words in (
            ("precision", self.precision, get_args(Precision)),
            ("head", self.head, get_args(HeadName)),
            ("learning_rate_schedule", self.learning_rate_schedule, SCHEDULES),
        ):
            if value not in words:
                _refuse(f"one of {', '.join(words)}", repr(value), nearest(value, words), name)
        if isinstance(self.optimizer, str) and self.optimizer not in OPTIMIZERS:
            _refuse(
                f"one of {', '.join(OPTIMIZERS)}{in_python(', or an Optax transformation')}",
                repr(self.optimizer), nearest(self.optimizer, OPTIMIZERS), "optimizer",
            )  # fmt: skip
        if not isinstance(self.optimizer, str):
            self._refuse_unheard()
        least = Plateau().patience
        if self.learning_rate_schedule == "plateau" and 0 < self.patience <= least:
            _refuse(
                f"more than the {least} validations after which a plateau halves the step size, or 0",
                self.patience, "20", "patience",
            )  # fmt: skip

    def _refuse_unheard(self) -> None:
        """Refuse a step size beside an Optax transformation, which would not hear of it."""
        for name in ("learning_rate", "learning_rate_schedule", "learning_rate_warmup"):
            value, usual = getattr(self, name), getattr(TrainingOptions, name)
            if value != usual and value != "plateau":
                _refuse(
                    "none beside an Optax transformation, which brings a step size of its own",
                    value, f"leaving out {option(name)}", name,
                )  # fmt: skip

    @property
    def plateau(self) -> Plateau | None:
        """When validations make the steps smaller; None where the schedule never asks them."""
        return Plateau() if self.learning_rate_schedule == "plateau" else None

    @property
    def storage(self) -> str:
        """The type of the parameters: float64, or float32."""
        return "float64" if self.precision == "float64" else "float32"

    def transformation(self, rate: optax.Schedule | float) -> optax.GradientTransformation:
        """The optimizer at a step size, behind the clipping of its gradients."""
        optimizer = self.optimizer
        if isinstance(optimizer, str):
            make = OPTIMIZERS[optimizer]
            optimizer = optax.chain(make(1.0), at_rate(rate)) if callable(rate) else make(rate)
        if self.clip_norm is None:
            return optimizer
        return optax.chain(optax.clip_by_global_norm(self.clip_norm), optimizer)

    def to_dict(self) -> dict[str, Any]:
        """The options as TOML holds them."""
        return options_to_dict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TrainingOptions":
        """The inverse of `to_dict`.

        Raises:
            InputError: an unknown option, a wrong value, or a part that a user wrote.
        """
        return options_from_dict(cls, content)


def _refuse(expected: str, got: Any, remedy: str, name: str) -> None:
    raise InputError(expected, f"{got}", remedy, where=option(name))
