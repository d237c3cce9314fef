"""Curves of many steps made ready to draw: as ranges over neighbouring steps, and as a running mean."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Curve", "reduced", "shown_limits"]

_POINTS = 1000  # more than that many steps are drawn as ranges
_SMOOTHED = 50  # running means over one in so many points
_EARLY = 0.1  # of the steps, which do not decide the limits


class Curve(NamedTuple):
    """Blocks of neighbouring steps: where they begin, their mean and range, and a running mean."""

    steps: Float[np.ndarray, " P"]
    mean: Float[np.ndarray, " P"]
    low: Float[np.ndarray, " P"]
    high: Float[np.ndarray, " P"]
    smooth: Float[np.ndarray, " P"]


def reduced(steps: Float[np.ndarray, " T"], values: Float[np.ndarray, " T"]) -> Curve:
    """Means and ranges over blocks of neighbouring steps, at most `_POINTS` of them."""
    starts = np.arange(0, len(steps), -(-len(steps) // _POINTS))
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(float), starts)
    some = count > 0
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    low = np.minimum.reduceat(np.where(known, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(known, values, -np.inf), starts)
    mean = np.where(some, total / np.maximum(count, 1), np.nan)
    window = np.ones(2 * (len(starts) // (2 * _SMOOTHED)) + 1)
    weight = np.convolve(some.astype(float), window, "same")
    smooth = np.convolve(np.where(some, mean, 0.0), window, "same") / np.maximum(weight, 1)
    return Curve(
        steps=steps[starts],
        mean=mean,
        low=np.where(some, low, np.nan),
        high=np.where(some, high, np.nan),
        smooth=np.where(some, smooth, np.nan),
    )


def shown_limits(
    train: Curve,
    looked: Float[np.ndarray, " V"],
    values: Float[np.ndarray, " V"],
    kept: float | None,
) -> tuple[float, float] | None:
    """Limits that show what comes after the first steps, which may be thousands of nats away."""
    start = train.steps[0] + _EARLY * (train.steps[-1] - train.steps[0])
    late = train.steps >= start
    noise = np.concatenate([train.low[late], train.high[late]])
    noise = noise[np.isfinite(noise)]
    shown = np.concatenate(
        [
            train.smooth[late],
            np.quantile(noise, [0.02, 0.98]) if noise.size else [],
            values[looked >= start],
            [] if kept is None else [kept],
        ]
    )
    shown = shown[np.isfinite(shown)]
    if shown.size == 0:
        return None
    low, high = float(shown.min()), float(shown.max())
    room = 0.06 * (high - low) or max(0.01 * abs(high), 1.0)
    return low - room, high + room
