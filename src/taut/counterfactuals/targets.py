"""Targets: what a classifier is wanted to say, as a score that is to reach a level.

    class c at confidence p        s = log p_c - log (1 - p_c)            level log p - log (1 - p)
    class c by a margin m          s = l_c - max of the other logits      level m
    a value between a and b        s = min(y - a, b - y)                  level 0
    an anomaly score below t       s = -y                                 level -t

A score goes on rising where the confidence is nearly 1, so that its gradient does not vanish there.
"""

import math
from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float

from taut.core import InputError, PlainFields, is_whole, option

__all__ = ["AbstractTarget", "Below", "Between", "Class", "Margin"]


class AbstractTarget(PlainFields, eqx.Module):
    """A score of the classifier's outputs, and the level that it is to reach."""

    @abstractmethod
    def score(self, outputs: Array) -> Float[Array, ""]:
        """s of the outputs for one row."""

    @property
    @abstractmethod
    def level(self) -> float:
        """Reached where s is at least this."""

    @property
    def tolerance(self) -> float:
        """How far above the level an answer may stay."""
        return 0.01

    def check(self, num_outputs: int) -> None:
        """Refuse a classifier of this many outputs.

        Raises:
            InputError: the target is not among them.
        """


class Class(AbstractTarget):
    """A class at a confidence within (0, 1)."""

    index: int = eqx.field(static=True)
    confidence: float = eqx.field(static=True, default=0.9)

    def __check_init__(self):
        if not 0 < self.confidence < 1:
            raise InputError(
                "a confidence between 0 and 1, which softmax does not reach", f"{self.confidence}",
                option("confidence", 0.99), where=option("confidence"),
            )  # fmt: skip

    @property
    def level(self) -> float:
        return math.log(self.confidence) - math.log1p(-self.confidence)

    def score(self, outputs: Array) -> Float[Array, ""]:
        target, others = _parted(outputs, self.index)
        return target - logsumexp(others)

    def check(self, num_outputs: int) -> None:
        _check_class(self.index, num_outputs)


class Margin(AbstractTarget):
    """A class whose logit is above all others by a margin."""

    index: int = eqx.field(static=True)
    margin: float = eqx.field(static=True, default=0.0)

    @property
    def level(self) -> float:
        return self.margin

    def score(self, outputs: Array) -> Float[Array, ""]:
        target, others = _parted(outputs, self.index)
        return target - jnp.max(others)

    def check(self, num_outputs: int) -> None:
        _check_class(self.index, num_outputs)


class Between(AbstractTarget):
    """A predicted value from `low` to `high`, either of which may be infinite."""

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)

    def __check_init__(self):
        if not self.low < self.high:
            raise InputError(
                "an interval whose lower end is below its upper end",
                f"{self.low} to {self.high}", f"{self.high} to {self.low}", where="target",
            )  # fmt: skip

    @property
    def level(self) -> float:
        return 0.0

    @property
    def tolerance(self) -> float:
        width = self.high - self.low
        return 0.01 * (width if math.isfinite(width) else 1.0)

    def score(self, outputs: Array) -> Float[Array, ""]:
        y = outputs.reshape(())
        return jnp.minimum(y - self.low, self.high - y)

    def check(self, num_outputs: int) -> None:
        _check_value(num_outputs)


class Below(AbstractTarget):
    """An anomaly score of at most `threshold`."""

    threshold: float = eqx.field(static=True)

    @property
    def level(self) -> float:
        return -self.threshold

    def score(self, outputs: Array) -> Float[Array, ""]:
        return -outputs.reshape(())

    def check(self, num_outputs: int) -> None:
        _check_value(num_outputs)


def _parted(outputs: Array, index: int) -> tuple[Any, Any]:
    """The logit of a class and those of the others; one logit alone is that of class 1 against 0."""
    logits = outputs.reshape(-1)
    if logits.size == 1:
        logits = jnp.concatenate([jnp.zeros_like(logits), logits])
    return logits[index], jnp.delete(logits, index, assume_unique_indices=True)


def _check_class(index: int, num_outputs: int) -> None:
    classes = max(num_outputs, 2)
    if not is_whole(index) or not 0 <= index < classes:
        raise InputError(
            f"a class from 0 to {classes - 1}", f"{index}", "one that the classifier knows",
            where="target",
        )  # fmt: skip


def _check_value(num_outputs: int) -> None:
    if num_outputs != 1:
        raise InputError(
            "a classifier with one output, of which a value is wanted", f"{num_outputs} outputs",
            "a class as the target", where="target",
        )  # fmt: skip
