"""Pyro: SVI with PyTorch networks, as in its VAE example.

Beside the example: logits instead of probabilities, and no validation of arguments, which is faster.
Third argument: `Trace_ELBO`, as in the example, or `TraceMeanField_ELBO`, whose KL is in closed form.
"""

import sys

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO
from serve import HIDDEN, LATENT, serve, task
from torch import Tensor, nn


class VAE(nn.Module):
    """784-400-20 and back."""

    def __init__(self, cells: int):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(cells, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
        )
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, cells))

    def model(self, x: Tensor) -> None:
        pyro.module("decoder", self.decoder)
        with pyro.plate("batch", len(x)):
            zero = x.new_zeros(len(x), LATENT)
            z = pyro.sample("z", dist.Normal(zero, torch.ones_like(zero)).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        pyro.module("encoder", self.encoder)
        with pyro.plate("batch", len(x)):
            loc, log_scale = self.encoder(x).chunk(2, dim=1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


def main() -> None:
    pyro.enable_validation(False)
    torch.distributions.Distribution.set_default_validate_args(False)
    x, order = task()
    rows, numbers = torch.from_numpy(x), torch.from_numpy(order)
    vae = VAE(x.shape[1])
    loss = {"Trace_ELBO": Trace_ELBO, "TraceMeanField_ELBO": TraceMeanField_ELBO}[sys.argv[3]]
    svi = SVI(vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-3}), loss())

    def run() -> None:
        for batch in numbers:
            svi.step(rows[batch])

    serve(run, "pyro-ppl", "torch")


if __name__ == "__main__":
    main()
