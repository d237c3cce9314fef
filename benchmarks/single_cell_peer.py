"""The VAE of scvi-tools on counts, in an environment of its own; called by `single_cell.py`.

    python single_cell_peer.py ROWS.npz SETTINGS.json FOUND.npz

ROWS holds sparse counts (`data`, `indices`, `indptr`, `shape`) and the numbers of the rows that are
trained on and held out. FOUND gets `log_evidence`, by importance sampling, of each row held out, the
`seconds` of training, and its `steps`.
"""

import json
import math
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import scipy.sparse
import scvi


def main() -> None:
    held, settings = np.load(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    parts = tuple(held[name] for name in ("data", "indices", "indptr"))
    counts = scipy.sparse.csr_matrix(parts, shape=tuple(held["shape"])).astype(np.float32)
    scvi.settings.seed = settings["seed"]
    train = anndata.AnnData(counts[held["train"]])
    scvi.model.SCVI.setup_anndata(train)
    model = scvi.model.SCVI(
        train, n_latent=settings["latent_dim"], n_hidden=settings["hidden"], n_layers=1,
        gene_likelihood="nb", **settings["own"],
    )  # fmt: skip
    steps = math.ceil(train.n_obs / settings["batch_size"]) * settings["epochs"]
    began = time.perf_counter()
    model.train(
        max_epochs=settings["epochs"], train_size=1.0, batch_size=settings["batch_size"],
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        plan_kwargs={"lr": settings["learning_rate"], "n_epochs_kl_warmup": None},
    )  # fmt: skip
    seconds = time.perf_counter() - began
    test = anndata.AnnData(counts[held["test"]])
    values = model.get_marginal_ll(
        test, n_mc_samples=settings["particles"], return_mean=False, batch_size=64
    )
    np.savez(sys.argv[3], log_evidence=np.asarray(values).ravel(), seconds=seconds, steps=steps)


if __name__ == "__main__":
    main()
