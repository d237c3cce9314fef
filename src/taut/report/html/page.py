"""One page that stands alone: no address, no script, light and dark, on paper too."""

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from taut.core.provenance import versions
from taut.report.html.markup import Markup, element, joined
from taut.report.html.meanings import glossary

__all__ = ["Section", "page"]


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        title: its heading.
        body: what is under it.
    """

    title: str
    body: Markup


def page(title: str, lead: Markup, sections: Sequence[Section]) -> str:
    """The text of an HTML file.

    Arguments:
        title: of the page.
        lead: what is said first.
        sections: in order; the meanings of the words that they use come after them.
    """
    said = joined(lead, *(section.body for section in sections))
    told = [*sections, Section("What the words mean", glossary(said))]
    places = [f"part-{number}" for number in range(len(told))]
    contents = [
        element("li", element("a", section.title, href=f"#{place}"))
        for section, place in zip(told, places, strict=True)
    ]
    body = element(
        "body",
        element("header", element("h1", title), lead),
        element("nav", element("ul", contents), aria_label="Contents"),
        element(
            "main",
            [
                element("section", element("h2", section.title, id=place), section.body,
                        aria_labelledby=place)
                for section, place in zip(told, places, strict=True)
            ],
        ),
        element("footer", element("p", f"Made by {versions()}.")),
    )  # fmt: skip
    style = files("taut.report.html").joinpath("page.css").read_text()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
