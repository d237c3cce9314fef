"""The report as a browser shows it: `make report-test`.

TAUT_CHROMIUM names the browser, TAUT_AXE the file axe.min.js of axe-core, which judges accessibility.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import taut
from taut.report.html.report import write_report
from taut.report.html.reported import reported_fit, reported_posterior

AXE = Path(os.environ["TAUT_AXE"])
EVIL = "<script>document.title = 'taken'</script>"


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several runs on one page: a fit of a table, one of images, EM over a range, and a posterior."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    table = {
        EVIL: rng.normal(3.0 * kind),
        "b & c": rng.normal(size=300),
        "kind": np.take(["p", "q", "r"], kind),
    }
    data = taut.load_data(pl.DataFrame(table), label="kind")
    fit = taut.fit(data, epochs=20, latent_dim=2, hidden=(8,))
    images = taut.fit("digits", epochs=2, hidden=(16,), latent_dim=3)
    chosen = taut.em(data, components=[1, 2, 3])
    posterior = taut.infer(lambda p: -(p["a"] ** 2) / 2, support={"a": "real"}, guide="laplace")
    runs = [
        reported_fit(fit, data, name=f"table {EVIL}"), reported_fit(images, taut.load_data("digits")),
        reported_fit(chosen, data), reported_posterior(posterior),
    ]  # fmt: skip
    return write_report(folder / "report.html", runs)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=os.environ["TAUT_CHROMIUM"], args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(report.as_uri())
    yield page
    page.close()


def test_it_asks_for_nothing_and_complains_of_nothing(browser: Browser, report: Path):
    page, asked, said = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    assert page.title() == "4 runs"  # no column's name runs
    page.close()


def test_it_is_small_and_opens_within_a_second(opened: Page, report: Path):
    assert report.stat().st_size <= 1_000_000
    taken = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    assert 0 < opened.evaluate(taken) < 1000


@pytest.mark.parametrize("width", [320, 400, 1400])
def test_nothing_reaches_beyond_the_window(opened: Page, width: int):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_is_dark(opened: Page):
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    opened.emulate_media(color_scheme="dark")
    assert opened.evaluate(ground) == "rgb(13, 17, 23)"
    opened.emulate_media(color_scheme="dark", media="print")
    assert opened.evaluate(ground) == "rgb(255, 255, 255)"


def test_it_needs_no_scripts(browser: Browser, report: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.get_by_role("cell", name="nats per row").first.is_visible()
    assert page.get_by_text("held-out ELBO").first.is_visible()
    context.close()


def test_every_meaning_is_shown_by_keys(opened: Page):
    terms = opened.locator("a.term")
    reached = set()
    for _ in range(opened.locator("a, [tabindex='0']").count()):
        opened.keyboard.press("Tab")
        shown = opened.locator("a.term:focus .tip")
        if shown.count():
            assert shown.is_visible()
            box = shown.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 1000
            reached.add(
                opened.evaluate("document.activeElement.href + document.activeElement.text")
            )
    assert len(reached) >= len({t.get_attribute("href") for t in terms.all()})


def test_a_meaning_is_shown_under_the_pointer(opened: Page):
    first = opened.locator("a.term").first
    assert not first.locator(".tip").is_visible()
    first.hover()
    assert first.locator(".tip").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Page, scheme: str):
    opened.emulate_media(color_scheme=scheme)
    opened.add_script_tag(content=AXE.read_text())
    found = opened.evaluate("axe.run().then(r => r.violations)")
    told = [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert told == []
