"""What the words of a report mean, and a word that says so where it is pointed at or reached by keys."""

from collections.abc import Iterable

from taut.report.html.markup import Markup, element

__all__ = ["MEANINGS", "glossary", "hint", "term"]

MEANINGS = {
    "held-out ELBO": "Evidence lower bound, averaged over rows that were not fitted to: reconstruction "
    "less KL. Higher is better; it is below the log-evidence by the KL from the guide to the posterior.",
    "ELBO": "Evidence lower bound: the mean of log p(x, z) - log q(z) over draws of the guide. It is "
    "below the log-evidence by the KL from the guide to the posterior.",
    "reconstruction": "Mean of log p(x given z) over the guide's z: how well a row is described once "
    "its code is known.",
    "KL(q to prior)": "Kullback-Leibler divergence from the guide q(z given x) to the prior p(z): what "
    "the code of a row costs.",
    "log-evidence": "log p(x), the log-probability (or log-density) of a row with the latents "
    "integrated out. Higher is better.",
    "upper end": "How far up the log-evidence may lie: a bound, or calibrated on what the model makes, "
    "as its side says.",
    "columns alone": "Log-evidence of columns that know nothing of each other: what a model must beat.",
    "bits/dimension": "Negative log-evidence in bits, for each cell of a row. Lower is better.",
    "gain that remains": "At most so much could the bound still rise within the guide's family.",
    "value": "The mean over rows, or the number itself where there is one row.",
    "± draws": "Standard error over other draws of z, with the same rows; 0 where nothing was drawn, "
    "unknown where the draws cannot be trusted to tell it.",
    "± rows": "Standard error over other rows of the same kind, with infinitely many draws.",
    "side": "Where the truth lies: exact; unbiased, right on average; a lower or an upper bound, on "
    "average over draws; or neither.",
    "in errors": "The difference divided by its standard error over both draws and rows, or over draws "
    "alone of all data at once, as a program's are; between -2 and 2 it says little.",
    "k-hat": "Shape of the tail of the importance weights. Above the threshold a few draws decide the "
    "mean, and the number cannot be trusted.",
    "ESS": "Effective sample size: how many equal draws the weighted ones are worth.",
    "mutual information": "How much the codes tell of which row they are of, in nats; at most the "
    "logarithm of the number of rows.",
    "marginal KL": "KL from the average of all posteriors to the prior: what a better prior could win.",
    "encoder (amortization)": "What is lost because one encoder serves all rows, where the best member "
    "of the guide's family for each row would do better.",
    "family (approximation)": "What is lost because no member of the guide's family is the posterior.",
    "evidence - ELBO": "The whole gap between log-evidence and ELBO: the KL from the guide to the "
    "posterior.",
    "active dimensions": "Latent dimensions in which the codes of rows differ; a category is one.",
    "mean": "Posterior mean, of the weighted draws.",
    "sd": "Posterior standard deviation, of the weighted draws.",
    "coverage": "How often the central interval of the guide's draws holds the truth of a simulated "
    "row; 50 % of them should hold it in the 50 % interval.",
    "p-value": "Of ranks that are uniform if the guide is the posterior, counted once for every "
    "quantity; a small one says that it is not.",
}  # fmt: skip


def term(word: str, *, meaning: str | None = None) -> Markup:
    """A word with its meaning, which is shown where the word is pointed at or has the focus.

    The word is a link to the glossary, which is there without hovering, for readers aloud and on paper.

    Arguments:
        word: as it is shown.
        meaning: key of `MEANINGS`; the word itself when None. A word without a meaning stays as it is.
    """
    key = meaning or word.strip()
    if key not in MEANINGS:
        return element("span", word)
    tip = element("span", MEANINGS[key], class_="tip", aria_hidden="true")
    return element(
        "a", word, tip, href=f"#{_place(key)}", aria_describedby=_place(key), class_="term"
    )


def hint(word: str, *, meaning: str | None = None) -> Markup:
    """A word with its meaning where there is no glossary; arguments as of `term`."""
    said = MEANINGS.get(meaning or word.strip())
    return element("abbr", word, title=said) if said else element("span", word)


def glossary(page: str) -> Markup:
    """The meanings of the words that a page links to."""
    used = [key for key in MEANINGS if f'href="#{_place(key)}"' in page]
    return element("dl", _entries(used))


def _entries(keys: Iterable[str]) -> list[Markup]:
    return [
        element("div", element("dt", key), element("dd", MEANINGS[key], id=_place(key)))
        for key in keys
    ]


def _place(key: str) -> str:
    """An id: of letters and digits."""
    words = "".join(c if c.isascii() and c.isalnum() else "-" for c in key.replace("±", "pm"))
    return "means-" + "-".join(filter(None, words.lower().split("-")))
