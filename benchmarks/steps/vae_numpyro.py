"""NumPyro: `svi.update` in a compiled `fori_loop`, networks by stax, as in its VAE example.

Beside the example: ReLU, logits instead of probabilities, and the KL in closed form.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.example_libraries import stax
from numpyro.infer import SVI, TraceMeanField_ELBO
from serve import HIDDEN, LATENT, serve, task


def main() -> None:
    x, order = task()
    cells = x.shape[1]
    encoder = stax.serial(
        stax.Dense(HIDDEN),
        stax.Relu,
        stax.FanOut(2),
        stax.parallel(stax.Dense(LATENT), stax.serial(stax.Dense(LATENT), stax.Exp)),
    )
    decoder = stax.serial(stax.Dense(HIDDEN), stax.Relu, stax.Dense(cells))

    def model(batch: Any) -> None:
        decode = numpyro.module("decoder", decoder, (batch.shape[0], LATENT))
        with numpyro.plate("batch", batch.shape[0]):
            z = numpyro.sample("z", dist.Normal(0, 1).expand([LATENT]).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=decode(z)).to_event(1), obs=batch)

    def guide(batch: Any) -> None:
        encode = numpyro.module("encoder", encoder, batch.shape)
        loc, scale = encode(batch)
        with numpyro.plate("batch", batch.shape[0]):
            numpyro.sample("z", dist.Normal(loc, scale).to_event(1))

    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), TraceMeanField_ELBO())
    rows = jnp.asarray(x)

    @jax.jit
    def steps(state: Any, order: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            total, state = carry
            state, loss = svi.update(state, rows[order[i]])
            return total + loss, state

        return jax.lax.fori_loop(0, order.shape[0], body, (0.0, state))

    state = svi.init(jax.random.key(0), rows[order[0]])

    def run() -> None:
        nonlocal state
        _, state = jax.block_until_ready(steps(state, order))

    serve(run, "numpyro", "jax", "jaxlib")


if __name__ == "__main__":
    main()
