"""Pythae's VAE with networks of the same sizes.

Third argument: `loop`, its model and loss in a plain loop over rows in memory, which leaves out the
costs of its data loader and callbacks; or `trainer`, its own `BaseTrainer.train_step`.
"""

import sys
import tempfile

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import CallbackHandler
from serve import BATCH, HIDDEN, LATENT, serve, task
from torch import Tensor, nn


class Encoder(BaseEncoder):
    def __init__(self, cells: int):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(cells, HIDDEN), nn.ReLU())
        self.features = nn.Linear(HIDDEN, 2 * LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        loc, log_variance = self.features(self.hidden(x)).chunk(2, dim=1)
        return ModelOutput(embedding=loc, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, cells: int):
        super().__init__()
        # Its Bernoulli loss takes probabilities.
        self.layers = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, cells), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


def main() -> None:
    x, order = task()
    cells = x.shape[1]
    config = VAEConfig(input_dim=(cells,), latent_dim=LATENT, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(cells), decoder=Decoder(cells))
    rows, numbers = torch.from_numpy(x), torch.from_numpy(order)

    if sys.argv[3] == "trainer":
        seen = rows[numbers.reshape(-1)]  # as many batches as steps
        trainer = BaseTrainer(
            model,
            BaseDataset(seen, torch.zeros(len(seen))),
            training_config=BaseTrainerConfig(
                output_dir=tempfile.mkdtemp(), per_device_train_batch_size=BATCH, learning_rate=1e-3
            ),
        )
        trainer.set_optimizer()
        trainer.callback_handler = CallbackHandler(callbacks=[], model=model)
        serve(lambda: trainer.train_step(epoch=1), "pythae", "torch")
        return

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> None:
        for batch in numbers:
            optimizer.zero_grad()
            model({"data": rows[batch]}).loss.backward()
            optimizer.step()

    serve(run, "pythae", "torch")


if __name__ == "__main__":
    main()
