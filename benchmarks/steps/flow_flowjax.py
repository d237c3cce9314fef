"""A flow's step in FlowJAX's own loop, `fit_to_data`.

Its rows are as many as the steps of a run take in one epoch, beside a validation batch that its loop
asks for. The optimizer and the loss are made once, so that later runs compile nothing.

Arguments: rows, steps, kind of layer (see `flow_sizes.py`).
"""

import sys

import jax
import jax.numpy as jnp
import optax
from flow_sizes import BINS, BOX, HIDDEN, KINDS, LAYERS, LEARNING_RATE
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import Normal
from flowjax.flows import coupling_flow, masked_autoregressive_flow
from flowjax.train import fit_to_data
from flowjax.train.losses import MaximumLikelihoodLoss
from serve import BATCH, serve, task


class Training:
    """A fit that goes on where the last call left it."""

    def __init__(self, kind: str):
        x, order = task()
        _, autoregressive, spline = KINDS[kind]
        make = masked_autoregressive_flow if autoregressive else coupling_flow
        self.flow = make(
            jax.random.key(0),
            base_dist=Normal(jnp.zeros(x.shape[1])),
            transformer=RationalQuadraticSpline(knots=BINS, interval=BOX) if spline else None,
            flow_layers=LAYERS,
            nn_width=HIDDEN[0],
            nn_depth=len(HIDDEN),
        )
        self.rows = jnp.asarray(x[order].reshape(-1, x.shape[1]))
        self.rows = jnp.concatenate([self.rows, self.rows[:BATCH]])
        self.optimizer, self.loss = optax.adam(LEARNING_RATE), MaximumLikelihoodLoss()

    def __call__(self) -> None:
        self.flow, _ = fit_to_data(
            jax.random.key(1),
            self.flow,
            self.rows,
            loss_fn=self.loss,
            optimizer=self.optimizer,
            max_epochs=1,
            batch_size=BATCH,
            val_prop=BATCH / len(self.rows),
            return_best=False,
            show_progress=False,
        )
        jax.block_until_ready(jax.tree.leaves(self.flow)[0])


if __name__ == "__main__":
    serve(Training(sys.argv[3]), "flowjax", "jax", "jaxlib", "equinox", "optax")
