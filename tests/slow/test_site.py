"""The course as web pages: complete, and without a single request. Checked in a real browser where there is one."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import sync_playwright

from tasnlib.course import site
from tests.slow.test_browser import CHROMIUM

NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("0*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    site.build(NOTEBOOKS, folder)
    return folder


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian and Ubuntu: apt-get install chromium")
def test_pages_work_without_network_and_sliders_turn(pages):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        requests, complaints = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for path in sorted(pages.rglob("*.html")):
            page.goto(path.as_uri())
            for slider in page.locator("fieldset.prerendered").all():
                before = slider.locator(".frame:not([hidden]) img").get_attribute("src")
                control = slider.locator("input")
                at_end = control.input_value() == control.get_attribute("max")
                control.press("ArrowLeft" if at_end else "ArrowRight")
                assert slider.locator(".frame:not([hidden]) img").get_attribute("src") != before
        browser.close()
    assert complaints == []
    assert {url for url in requests if not url.startswith(("file://", "data:"))} == set()


def test_every_notebook_has_its_page_and_stands_in_the_index(pages):
    index = (pages / "index.html").read_text()
    for path in NOTEBOOKS:
        assert f'href="{path.stem}.html"' in index
        text = (pages / f"{path.stem}.html").read_text()
        assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//(?!\S*(?:arxiv|doi|github))""", text)
        assert text.count("<img") == len(re.findall(r'<img[^>]+alt="[^"]+"', text))


def test_every_notebook_with_sliders_has_prerendered_ones(pages):
    for path in NOTEBOOKS:
        if "tasnlib.course.widgets" in path.read_text():
            assert 'class="prerendered"' in (pages / f"{path.stem}.html").read_text()


def test_formulas_become_mathml_and_code_stays():
    converted = site.with_mathml("$x^2$, `$y$`, 5 $ and 6 $, $$\\sum_i x_i$$\n```\n$z$\n```")
    assert converted.count("<math") == 2
    assert "`$y$`" in converted
    assert "$z$" in converted
    assert "5 $ and 6 $" in converted


def test_an_error_in_a_cell_stops_the_build(tmp_path):
    code = new_code_cell("from tasnlib.course.widgets.sliders import explore\nraise RuntimeError('broken')")
    path = tmp_path / "broken.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Broken"), code]), path)
    with pytest.raises(Exception, match="broken"):
        site.build([path], tmp_path / "out")
