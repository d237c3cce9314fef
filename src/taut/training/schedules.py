"""Step sizes over a run.

    warm-up      (t + 1) / W of what follows, for t < W
    constant     1
    cosine       (1 + cos(pi (t - W) / (T - W))) / 2, which ends at 0 after T steps
                 (Loshchilov and Hutter 2017, without restarts)
    plateau      1, times a factor whenever validation has not improved for a while

The first three are functions of the step of the run, not of the updates that one side of it had
(`at_rate`). A plateau is an event of the loop (`Plateau`), which scales
the updates of the algorithm; its factor is part of the state, so a resumed run keeps it.
"""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from taut.core import InputError, nearest, option

__all__ = ["SCHEDULES", "Plateau", "ScheduleName", "at_rate", "schedule"]

ScheduleName = Literal["constant", "cosine", "plateau"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)


class Plateau(NamedTuple):
    """When validation stalls, smaller steps.

    Attributes:
        patience: validations without a better value before each reduction.
        factor: what the updates are multiplied by.
        least: the scale is not reduced below this.
    """

    patience: int = 5
    factor: float = 0.5
    least: float = 1e-3


def schedule(
    name: str, peak: float, *, num_steps: int, warmup_steps: int = 0
) -> optax.Schedule | float:
    """The step size as a function of the step; a plain number where it never changes.

    Arguments:
        name: one of `SCHEDULES`; a plateau is constant here.
        peak: step size after the warm-up.
        num_steps: T, steps planned.
        warmup_steps: W.

    Raises:
        InputError: an unknown name, or a warm-up that is negative or leaves no step.
    """
    if name not in SCHEDULES:
        raise InputError(
            f"one of {', '.join(SCHEDULES)}", repr(name), nearest(name, SCHEDULES),
            where=option("learning_rate_schedule"),
        )  # fmt: skip
    if not 0 <= warmup_steps < num_steps:
        raise InputError(
            f"from 0 to fewer than the {num_steps} steps planned", f"{warmup_steps}",
            f"{num_steps // 20}", where=option("learning_rate_warmup"),
        )  # fmt: skip
    if name != "cosine" and warmup_steps == 0:
        return peak

    def size(step: Any) -> Float[Array, ""]:
        t = jnp.asarray(step, float)
        rise = jnp.minimum(1.0, (t + 1) / max(warmup_steps, 1))
        if name != "cosine":
            return peak * rise
        share = jnp.clip((t - warmup_steps) / (num_steps - warmup_steps), 0, 1)
        return peak * rise * (1 + jnp.cos(jnp.pi * share)) / 2

    return size


def at_rate(rate: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """Updates times the step size at a step of the run, which `update` is told as `step`."""

    def update(updates: Any, state: Any, params: Any = None, **told: Any) -> Any:
        size = rate(told["step"])
        return jax.tree.map(lambda u: jnp.asarray(size, u.dtype) * u, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)
