"""A page of HTML taken apart: refuses what is not well formed, and keeps what tests ask for."""

from html.parser import HTMLParser

VOID = {"br", "img", "meta"}


class Page(HTMLParser):
    """Elements that are closed in their order; text, links, ids and scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))
        assert {link.removeprefix("#") for link in self.links} <= set(self.ids)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "xlink:href")]
        self.sources += [value for name, value in attrs if name in ("src", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        hidden = ("span", "class", "tip") in self.attributes[-3:] and self.open[-1] == "span"
        if self.rows and self.rows[-1] and {"th", "td"} & set(self.open) and not hidden:
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """The cells of the first row that is called so."""
        return next(cells for cells in self.rows if cells and cells[0].strip() == name)
