"""`taut.fit`, `taut.em`, `taut.load` and the `Fit` they return: thin shells over the layers."""

from taut.api.annotating import annotate
from taut.api.auditing import audit
from taut.api.bracketing import bracket_posterior
from taut.api.calibrating import calibrate, calibrate_posterior
from taut.api.em import EMProgress, em
from taut.api.fitting import fit
from taut.api.inferring import GUIDES, infer
from taut.api.likening import fidelity
from taut.api.notebooks import shown_in_notebooks
from taut.api.plotting import plots_of_fit, plots_of_posterior
from taut.api.refitting import Refitted, refit_prior
from taut.api.reporting import report, report_posterior
from taut.api.summarizing import summary, summary_of_posterior
from taut.api.wrapping import audit_model, wrap_model
from taut.data import Data, Dataset, load_data
from taut.fitted import Fit, Posterior, compare, load
from taut.fitted.pooling import pool
from taut.fitted.predicting import predict
from taut.fitted.scoring import score
from taut.inference.posterior.verdict import Verdict

Fit.annotate = annotate  # pyright: ignore[reportAttributeAccessIssue]
Fit.audit = audit  # pyright: ignore[reportAttributeAccessIssue]
Fit.calibrate = calibrate  # pyright: ignore[reportAttributeAccessIssue]
Fit.refit_prior = refit_prior  # pyright: ignore[reportAttributeAccessIssue]
Fit.fidelity = fidelity  # pyright: ignore[reportAttributeAccessIssue]
Fit.score = score  # pyright: ignore[reportAttributeAccessIssue]
Fit.report = report  # pyright: ignore[reportAttributeAccessIssue]
Fit.plot = plots_of_fit  # pyright: ignore[reportAttributeAccessIssue]
Posterior.plot = plots_of_posterior  # pyright: ignore[reportAttributeAccessIssue]
Fit.summary = summary  # pyright: ignore[reportAttributeAccessIssue]
Posterior.summary = summary_of_posterior  # pyright: ignore[reportAttributeAccessIssue]
Posterior.report = report_posterior  # pyright: ignore[reportAttributeAccessIssue]
Fit.predict = predict  # pyright: ignore[reportAttributeAccessIssue]
Posterior.calibrate = calibrate_posterior  # pyright: ignore[reportAttributeAccessIssue]
Posterior.bracket = bracket_posterior  # pyright: ignore[reportAttributeAccessIssue]
shown_in_notebooks()

__all__ = [
    "GUIDES",
    "Data",
    "Dataset",
    "EMProgress",
    "Fit",
    "Posterior",
    "Refitted",
    "Verdict",
    "audit_model",
    "compare",
    "em",
    "fit",
    "infer",
    "load",
    "load_data",
    "pool",
    "refit_prior",
    "wrap_model",
]
