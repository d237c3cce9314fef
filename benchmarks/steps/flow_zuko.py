"""A flow's step in Zuko with PyTorch's Adam.

Couplings are those of its `NICE`, an MLP each, which is faster than its masked flows of two passes, and
keep the dimensions that taut's keep; autoregressive layers are its `MAF`.

Arguments: rows, steps, kind of layer (see `flow_sizes.py`).
"""

import sys
from functools import partial

import torch
from flow_sizes import BINS, BOX, HIDDEN, KINDS, LAYERS, LEARNING_RATE, kept
from serve import serve, task
from zuko.distributions import DiagNormal
from zuko.flows import MAF
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import Flow, UnconditionalDistribution
from zuko.transforms import MonotonicRQSTransform


def flow(kind: str, dim: int) -> Flow:
    _, autoregressive, spline = KINDS[kind]
    splines = {
        "univariate": partial(MonotonicRQSTransform, bound=BOX),
        "shapes": [(BINS,), (BINS,), (BINS - 1,)],
    }
    choices = {"hidden_features": HIDDEN, **(splines if spline else {})}
    if autoregressive:
        return MAF(dim, transforms=LAYERS, **choices)
    base = UnconditionalDistribution(DiagNormal, torch.zeros(dim), torch.ones(dim), buffer=True)
    masks = [torch.tensor(mask) for mask in kept(dim)]
    return Flow([GeneralCouplingTransform(dim, mask=mask, **choices) for mask in masks], base)


class Training:
    """A fit that goes on where the last call left it."""

    def __init__(self, kind: str):
        x, order = task()
        self.rows, self.order = torch.from_numpy(x), torch.from_numpy(order)
        torch.manual_seed(0)
        self.flow = flow(kind, x.shape[1])
        self.optimizer = torch.optim.Adam(self.flow.parameters(), LEARNING_RATE)

    def __call__(self) -> None:
        for numbers in self.order:
            loss = -self.flow().log_prob(self.rows[numbers]).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


if __name__ == "__main__":
    serve(Training(sys.argv[3]), "zuko", "torch")
