"""TensorBoard: the bound of each step, validations, and the numbers at the end as scalars.

Needs tensorboardX, which writes the files without TensorFlow.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taut.callbacks.abstract import Callback
from taut.core import Estimate, InputError

if TYPE_CHECKING:
    from taut.fitted import Fit

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes a folder that `tensorboard --logdir` shows.

    Arguments:
        folder: where to write.
        every: of so many steps one is written; validations all are.

    Raises:
        InputError: tensorboardX is not installed.
    """

    def __init__(self, folder: Path | str, *, every: int = 1):
        try:
            from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise InputError(
                "tensorboardX, which is not installed", "none", "`pip install 'taut[tensorboard]'`",
                where="TensorBoard",
            ) from None  # fmt: skip
        if every < 1:
            raise InputError("at least 1", f"{every}", "1", where="every")
        self._writer: Any = SummaryWriter(str(folder))
        self._every, self._last = every, 0

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        self._last = step
        if step % self._every == 0:
            for name, value in metrics.items():
                if math.isfinite(value):
                    self._writer.add_scalar(f"training/{name}", value, step)

    def on_validation(self, step: int, estimate: Estimate) -> None:
        self._writer.add_scalar("validation/bound", estimate.value, step)
        self._writer.flush()

    def on_end(self, fit: "Fit") -> None:
        for name, estimate in fit.estimates.items():
            self._writer.add_scalar(f"test/{name}", estimate.value, self._last)
            self._writer.add_text(f"test/{name}", str(estimate), self._last)
        self._writer.close()

    def on_exception(self, error: BaseException) -> None:
        self._writer.close()
