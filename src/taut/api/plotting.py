"""`fit.plot` and `posterior.plot`: the figures of a run folder, one at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from taut.core import InputError
from taut.data import Data
from taut.fitted import Fit, Posterior
from taut.fitted.own_data import load_own_data, refuse_other_data

if TYPE_CHECKING:
    from taut.report.picture import Picture

__all__ = ["FitPlots", "PosteriorPlots", "plots_of_fit", "plots_of_posterior"]


class _Plots:
    def __repr__(self) -> str:
        names = (name for name in vars(type(self)) if not name.startswith("_"))
        return f"figures: {', '.join(f'.{name}()' for name in names)}"


class FitPlots(_Plots):
    """The figures of a fit: `fit.plot.samples()` is a picture that a notebook shows and `save` writes.

    Rows beside the model's are those of the data that were fitted to: `data`, or those of the recipe
    loaded again where they have a name. A figure that the fit has nothing for is refused in one line.
    """

    def __init__(self, fit: Fit):
        self._fit = fit

    def learning_curves(self) -> "Picture":
        """Bound of training rows by step, and of validation rows with its error over them; nats."""
        return self._drawn("learning-curves", None)

    def samples(self, data: Data | None = None) -> "Picture":
        """Draws of x by the model, images or the marginals of columns beside those of training rows."""
        return self._drawn("samples", self._own("samples", data))

    def reconstructions(self, data: Data | None = None) -> "Picture":
        """Some test rows and the means of x at their codes."""
        return self._drawn("reconstructions", self._own("reconstructions", data))

    def interpolation(self, data: Data | None = None) -> "Picture":
        """Means of x on the way between the codes of pairs of test rows."""
        return self._drawn("interpolation", self._own("interpolation", data))

    def latents(self, data: Data | None = None) -> "Picture":
        """Codes of test rows, coloured by label where there is one."""
        return self._drawn("latents", self._own("latents", data))

    def evidence(self) -> "Picture":
        """Log-evidence of the training rows after each iteration of EM; nats per row, exact."""
        from taut.report.draw_em import draw_evidence
        from taut.report.picture import Picture

        return Picture.of(lambda path: draw_evidence(self._fit, path))

    def selection(self) -> "Picture":
        """Log-evidence and BIC of each number of components that EM chose among; nats per row."""
        from taut.report.draw_em import draw_selection
        from taut.report.picture import Picture

        return Picture.of(lambda path: draw_selection(self._fit, path))

    def _own(self, name: str, data: Data | None) -> Data:
        if data is None:
            return load_own_data(self._fit, where=f"plot.{name}")
        refuse_other_data(self._fit, data, where=f"plot.{name}, data")
        return data

    def _drawn(self, name: str, data: Data | None) -> "Picture":
        from taut.report.draw_fit import FIGURES, lacking
        from taut.report.picture import Picture

        if got := lacking(name, self._fit, data):
            raise InputError(
                f"a fit that has something for a figure of {name.replace('-', ' ')}", got,
                "another figure", where=f"plot.{name.replace('-', '_')}",
            )  # fmt: skip
        return Picture.of(lambda path: FIGURES[name](self._fit, data, path))


class PosteriorPlots(_Plots):
    """The figures of a posterior: `posterior.plot.pairs()` is a picture that a notebook shows and `save`
    writes."""

    def __init__(self, posterior: Posterior):
        self._posterior = posterior

    def pairs(self) -> "Picture":
        """Weighted draws of every pair of latents, beside those of the guide."""
        from taut.report.draw_posterior import draw_pairs

        return self._drawn(draw_pairs)

    def bound(self) -> "Picture":
        """The ELBO over the rounds of the ascent, with its error and what it may gain yet; nats."""
        from taut.report.draw_posterior import draw_bound

        return self._drawn(draw_bound)

    def khat(self) -> "Picture":
        """The tail of the weights, and the k-hat by which they are judged."""
        from taut.report.draw_posterior import draw_weights

        return self._drawn(draw_weights)

    def _drawn(self, draw: Callable[[Posterior, Path], Path]) -> "Picture":
        from taut.report.picture import Picture

        return Picture.of(lambda path: draw(self._posterior, path))


@property
def plots_of_fit(fit: Fit) -> FitPlots:
    """Its figures, one at a time."""
    return FitPlots(fit)


@property
def plots_of_posterior(posterior: Posterior) -> PosteriorPlots:
    """Its figures, one at a time."""
    return PosteriorPlots(posterior)
