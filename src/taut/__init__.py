"""taut: latent-variable models, fitted by maximising the ELBO, with a measure of how tight it is."""

__version__ = "0.1.0"
