"""Figures of usual and of extreme input, by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from taut.report import figures

RNG = np.random.default_rng(7)
STEPS = np.arange(1, 3001)
BOUND = -100.0 - 5e4 * np.exp(-(STEPS - 1) / 20) + RNG.normal(size=3000)
LOOKED = np.arange(49, 3000, 50)
TABLE = RNG.normal(size=(200, 13)) * 10.0 ** np.arange(-6, 7)
NAMES = [f"a name of column {i} that is much too long for a panel" for i in range(13)]
IMAGES = RNG.uniform(size=(20, 8, 8))
LINES = RNG.uniform(size=(5, 10, 8, 8))
ENDS = RNG.uniform(size=(5, 2, 8, 8))
LATENTS = RNG.normal(size=(300, 5)) * np.arange(1, 6)
DIGITS = RNG.integers(10, size=300)


def table(name: str, *arrays: np.ndarray, **options: object) -> Callable[[Path], Path]:
    shape = (arrays[0].shape[-1],)
    return lambda path: getattr(figures, name)(path, *arrays, kind="table", shape=shape, **options)


def image(name: str, *arrays: np.ndarray, shape: tuple[int, ...], **options: object):
    return lambda path: getattr(figures, name)(path, *arrays, kind="image", shape=shape, **options)


def curves(**options: object) -> Callable[[Path], Path]:
    usual = {
        "steps": STEPS,
        "train_bound": BOUND,
        "validation_steps": STEPS[LOOKED],
        "validation": BOUND[LOOKED] - 1,
        "bound_name": "elbo",
    }
    return lambda path: figures.learning_curves(path, **{**usual, **options})


def latents(z: np.ndarray, **options: object) -> Callable[[Path], Path]:
    return lambda path: figures.latent_scatter(path, z, **options)


def khat(values: np.ndarray) -> Callable[[Path], Path]:
    return lambda path: figures.khat(path, values, 0.7)


def pairs(values: np.ndarray, names: list[str] | None = None) -> Callable[[Path], Path]:
    weights = np.arange(1.0, len(values) + 1) / np.sum(np.arange(1.0, len(values) + 1))
    names = [f"coordinate[{i}]" for i in range(values.shape[-1])] if names is None else names
    return lambda path: figures.pairs(path, values, weights, values[::2], names)


def trace(rounds: int, **options: object) -> Callable[[Path], Path]:
    usual = {
        "steps": np.arange(rounds) * 7 + 80,
        "bound": -1850.0 - 3.0 / np.arange(1, rounds + 1),
        "bound_error": np.full(rounds, 0.1),
        "gain": 1.0 / np.arange(1, rounds + 1),
        "gain_error": np.full(rounds, 0.05),
        "won": np.zeros(rounds, bool),
        "precision_nats": 0.1,
    }
    return lambda path: figures.bound_trace(path, **{**usual, **options})


def tail(weights: np.ndarray, khat: float) -> Callable[[Path], Path]:
    return lambda path: figures.weight_tail(path, weights, khat, 0.7)


def gradients(names: list[str], variances: list[float], **options: object) -> Callable:
    count = len(names)
    return lambda path: figures.gradients(
        path, names, [0.4 + i for i in range(count)], variances, [v / 20 for v in variances],
        [i % 3 == 2 for i in range(count)], group="guide", **options,
    )  # fmt: skip


HEAVY = np.arange(1.0, 2001.0) ** -0.8 / np.sum(np.arange(1.0, 2001.0) ** -0.8)
NONE = np.zeros(0)
USUAL = {
    "pairs, 3": pairs(LATENTS[:, :3]),
    "pairs, many of unlike scales": pairs(TABLE, NAMES),
    "bound, three rounds": trace(3),
    "bound, rounds and stretches": trace(
        4, won=np.array([False, True, True, True]), gain=np.array([0.05, 0.3, -0.05, 0.01])
    ),
    "weights, heavy": tail(HEAVY, 0.8),
    "curves": curves(validation_error=np.full(60, 0.5), best_step=2950),
    "curves, no validation": curves(validation_steps=NONE, validation=NONE),
    "curves, upper bound": curves(
        train_bound=-BOUND, validation=-BOUND[LOOKED], side="upper bound"
    ),
    "samples, grey": image("samples", IMAGES, shape=(8, 8)),
    "samples, colour": image("samples", RNG.uniform(size=(9, 32, 20, 3)), shape=(32, 20, 3)),
    "samples, reals": image("samples", RNG.normal(size=(9, 5, 40)), shape=(5, 40)),
    "samples, table": table("samples", TABLE, data=TABLE[::2], columns=NAMES),
    "samples, no data": table("samples", TABLE),
    "reconstructions, images": image("reconstructions", IMAGES, IMAGES**2, shape=(8, 8)),
    "reconstructions, table": table("reconstructions", TABLE, TABLE * 0.9, columns=NAMES),
    "interpolation, images": image("interpolation", LINES, ends=ENDS, shape=(8, 8)),
    "interpolation, table": table(
        "interpolation", LINES.reshape(5, 10, 64), ends=ENDS.reshape(5, 2, 64)
    ),
    "latents, 5": latents(LATENTS, label=DIGITS, scale=np.full((300, 5), 0.3)),
    "latents, 2": latents(LATENTS[:, :2]),
    "latents, 1": latents(LATENTS[:, :1], label=DIGITS % 3, scale=np.full((300, 1), 0.3)),
    "latents, numbers": latents(LATENTS, label=LATENTS[:, 0]),
    "latents, many words": latents(LATENTS, label=[f"kind {i % 20}" for i in range(300)]),
    "khat": khat(RNG.normal(0.5, 0.2, size=400)),
    "gradients": gradients(["disarm", "rebar", "gumbel-softmax", "vimco"], [90.0, 40.0, 1.0, 4e3]),
}
EXTREME = {
    "gradients, without variance": gradients(["enumeration"], [0.0]),
    "gradients, one": gradients(["stl"], [1e-12]),
    "curves, one step": curves(
        steps=STEPS[:1], train_bound=BOUND[:1], validation_steps=STEPS[:1], validation=BOUND[:1],
        validation_error=np.asarray([np.nan]), best_step=1,
    ),
    "curves, not finite": curves(
        train_bound=np.where(STEPS % 2, np.nan, -np.inf), validation=np.full(60, np.nan)
    ),
    "curves, constant": curves(train_bound=np.zeros(3000), validation=np.zeros(60)),
    "samples, one pixel": image("samples", np.ones((1, 1, 1)), shape=(1, 1)),
    "samples, one line": image("samples", RNG.uniform(size=(3, 1, 900)), shape=(1, 900)),
    "samples, large": image("samples", RNG.uniform(size=(3, 300, 200, 3)), shape=(300, 200, 3)),
    "samples, five channels": image("samples", RNG.uniform(size=(3, 4, 4, 5)), shape=(4, 4, 5)),
    "samples, many": image("samples", np.tile(IMAGES[:, :2, :2], (20, 1, 1)), shape=(2, 2)),
    "samples, missing cells": image("samples", np.full((2, 4, 4), np.nan), shape=(4, 4)),
    "samples, one row and column": table("samples", np.ones((1, 1)), data=np.ones((1, 1))),
    "samples, constant": table("samples", np.full((9, 3), 1e30), data=np.full((9, 3), 1e30)),
    "samples, missing column": table(
        "samples", np.asarray([[np.nan, 1.0]] * 4), data=np.asarray([[np.nan, np.inf]] * 3)
    ),
    "samples, apart": table("samples", TABLE[:, :2] + 1e9, data=TABLE[:, :2]),
    "samples, 1000 columns": table("samples", RNG.poisson(3, size=(50, 1000))),
    "samples, odd names": table("samples", np.eye(3), columns=["$a_b$ $c", "年齢\n%", ""]),
    "reconstructions, one image": image(
        "reconstructions", IMAGES[:1], IMAGES[:1], shape=(8, 8)
    ),
    "reconstructions, one row": table("reconstructions", np.ones((1, 1)), np.ones((1, 1))),
    "reconstructions, missing": table("reconstructions", np.full((2, 2), np.nan), np.ones((2, 2))),
    "reconstructions, 1000 columns": table(
        "reconstructions", RNG.normal(size=(5, 1000)), np.zeros((5, 1000))
    ),
    "interpolation, one point": image("interpolation", LINES[:1, :1], shape=(8, 8)),
    "interpolation, many points": image(
        "interpolation", RNG.uniform(size=(30, 50, 4, 6)), shape=(4, 6)
    ),
    "interpolation, one column": table("interpolation", np.ones((1, 1, 1)), ends=np.ones((1, 2, 1))),
    "latents, one row": latents(np.zeros((1, 8)), label=["only"], scale=np.zeros((1, 8))),
    "latents, one number": latents(np.zeros((1, 1)), scale=np.zeros((1, 1))),
    "latents, not finite": latents(
        np.asarray([[np.nan] * 3, [1.0] * 3]), scale=np.full((2, 3), np.inf), label=[np.nan, np.nan]
    ),
    "latents, far": latents(np.asarray([[1e12, 0.0], [0.0, 1e-12]]), label=[True, None]),
    "pairs, one constant": pairs(np.ones((50, 1))),
    "bound, one round, gain unknown": trace(1, gain=np.array([np.inf]), gain_error=np.array([np.inf])),
    "bound, not finite": trace(2, bound=np.array([-np.inf, -3.0]), precision_nats=None),
    "weights, constant": tail(np.full(100, 0.01), -np.inf),
    "weights, one draw has all": tail(np.eye(100)[0], np.nan),
    "khat, none": khat(np.full(4, np.nan)),
    "khat, exact": khat(np.full(4, -np.inf)),
    "khat, one": khat(np.asarray([0.8])),
    "khat, some": khat(np.asarray([np.nan, np.inf, -np.inf, 0.1, 0.2, 0.9])),
}  # fmt: skip
