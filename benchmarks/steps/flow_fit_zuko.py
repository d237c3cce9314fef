"""Fits of a flow in Zuko with PyTorch's Adam; see `flow_fit.py`."""

import numpy as np
import torch
from flow_fit import work
from flow_sizes import LEARNING_RATE
from flow_zuko import flow


class Fit:
    """Descent of the mean negative log-density of a batch."""

    def __init__(self, kind: str, train: np.ndarray, number: int):
        torch.manual_seed(number)
        self.rows = torch.from_numpy(train)
        self.flow = flow(kind, train.shape[1])
        self.optimizer = torch.optim.Adam(self.flow.parameters(), LEARNING_RATE)

    def advance(self, order: np.ndarray) -> None:
        for numbers in torch.from_numpy(order):
            loss = -self.flow().log_prob(self.rows[numbers]).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def log_density(self, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.flow().log_prob(torch.from_numpy(x)).double().numpy()

    @property
    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.flow.parameters())


if __name__ == "__main__":
    work(Fit, "zuko", "torch")
