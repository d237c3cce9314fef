"""Results in words of what training needs: seconds to a published number, optimizers at equal steps."""

from collections.abc import Callable
from typing import Any

__all__ = ["TRAINING"]

Rows = list[tuple[str, str]]


def of_record(found: dict[str, Any]) -> Rows:
    keys = found["keys"].values()
    seconds = ", ".join(f"{of['seconds']:.0f}" for of in keys)
    nll = ", ".join(f"{of['test_nll']:.2f}" for of in keys)
    return [
        (
            f"statically binarized MNIST, 50 latents, one-sample ELBO by Muon, {len(keys)} keys: "
            f"seconds of training and validation on {found['hardware']['cores']} cores; test NLL",
            f"{seconds}; {nll} [{found['published_test_nll']}]",
        )
    ]


def of_optimizers(found: dict[str, Any]) -> Rows:
    names = [name for name in next(iter(found["best"].values())) if name not in ("adam", "adamw")]

    def above(of: dict[str, Any]) -> str:
        return f"{of['above_adam']:+.2f} ± {of['error']:.2f}"

    return [
        (
            f"{name}: best validation bound in {found['steps']:,} steps less Adam's, nats a row, each "
            f"with its best of four step sizes: {', '.join(found['best'])}",
            ", ".join(above(of[name]) for of in found["best"].values()),
        )
        for name in names
    ]


TRAINING: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "static_mnist_record": of_record,
    "optimizers": of_optimizers,
}
