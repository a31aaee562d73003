"""The glossary: every term is used in the course, and on the pages its first use leads to it, and it to its section."""

import html
import re
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tasnlib.course.site import DOCS, terms_of, with_links, write_pages

TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md") if "." not in path.stem}
TEXT = TEXTS["glossary"]
TERMS = terms_of(TEXT)
NOTEBOOKS = sorted((DOCS.parent / "notebooks").glob("0[1-8]*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """By file name. Sliders are left out: they are made by running the notebooks, and hold no text."""
    folder = tmp_path_factory.mktemp("pages")
    books = {path.stem: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
    write_pages(books, folder, "the course", {}, TEXTS)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}


def links(page):
    return [html.unescape(link) for link in re.findall(r'<a [^>]*href="([^"]*)"', page)]


def test_every_term_is_linked_from_some_notebook(pages):
    linked = {link.partition("#")[2] for page in pages.values() for link in links(page) if "glossary.html#" in link}
    assert linked == {term.replace(" ", "-") for term in TERMS.values() if term}


def test_a_notebook_links_each_term_once(pages):
    for path in NOTEBOOKS:
        own = [link for link in links(pages[f"{path.stem}.html"]) if link.startswith("glossary.html#")]
        assert len(own) >= 15
        assert len(own) == len(set(own)), path.stem


def test_every_link_between_pages_resolves(pages):
    places = {name: set(re.findall(r'\bid="([^"]*)"', page)) for name, page in pages.items()}
    seen = 0
    for name, page in pages.items():
        for link in links(page):
            target, _, place = link.partition("#")
            if (target or name) in pages and place:
                seen += 1
                assert {place, unquote(place)} & places[target or name], f"{name} links to {link}"
            else:
                assert "://" in link or (target or name) in pages, f"{name} links to {link}"
    assert seen > 300


def test_every_page_of_the_documentation_is_on_the_site_and_in_its_index(pages):
    assert {"training", "sampler", "recipes", "teaching", "glossary"} <= set(TEXTS)
    for name, text in TEXTS.items():
        assert f'<a href="{name}.html">{html.escape(text.splitlines()[0][2:])}</a>' in pages["index.html"]
    assert '<a href="recipes.html">' in pages["training.html"]
    assert "devcontainer" in pages["teaching.html"]
    assert "devcontainer.json" not in pages["teaching.html"]  # a link that would lead out of the site


def test_every_entry_is_short_and_names_the_section_where_its_term_is_built(pages):
    for entry in TEXT.split("\n### ")[1:]:
        term, definition = entry.split("\n")[0], entry.split("\n")[2]
        said, link = re.fullmatch(r"(.*) \[(\d\d, section \d+)\]\(\S+\)", definition).groups()
        assert 1 <= len(re.findall(r"[.:](?= |$)", said)) <= 3, term
        assert len(said) < 260, term
        number, section = re.findall(r"\d+", link)
        assert re.search(rf"/{number}_\w+\.ipynb#{section}-·-", definition), term


def test_terms_are_in_alphabetical_order():
    found = re.findall(r"^### (.*)$", TEXT, re.M)
    assert found == sorted(found, key=str.casefold)
    assert len(found) == len(set(found))


CELL = {"cell": "cell", "cells": "cell", "receptive field": "receptive field", "next cell": ""}


@pytest.mark.parametrize(
    "closed",
    [
        "`cell`",
        "```\ncell\n```",
        "[a cell](01.ipynb)",
        "![a cell](cell.png)",
        "## A cell",
        "<details><summary>cell</summary>",
        '<a href="x">a cell</a>',
        '<img alt="a cell">',
        "<math><mi>cell</mi></math>",
        "the next cell",
        "cellular, subcell",
    ],
)
def test_no_link_where_none_belongs(closed):
    assert with_links(closed, CELL, set()) == closed


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("A **cell** is", "cell"),
        ("Cells are", "Cells"),
        ("| a | cell |", "cell"),
        ("> the cell", "cell"),
        ("`cell` and cells, cells", "cells"),
        ("the next cell, and this cell", "cell"),
        ("<details><summary>Hint</summary>\n\na cell", "cell"),
    ],
)
def test_the_first_use_is_linked(text, linked):
    done = with_links(text, CELL, set())
    assert re.findall(r'<a href="glossary.html#cell">(.*?)</a>', done) == [linked]
    assert re.sub(r"</?a[^>]*>", "", done) == text


def test_longer_terms_come_first_and_used_ones_not_again():
    used = {"cell"}
    done = with_links("a cell's receptive fields", CELL, used)
    assert done == 'a cell\'s <a href="glossary.html#receptive-field">receptive fields</a>'
    assert used == {"cell", "receptive field"}


def test_code_outputs_and_the_notebook_itself_stay(tmp_path):
    code = new_code_cell("cell = 'a cell'")
    book = new_notebook(cells=[new_markdown_cell("# A cell\n\n**A cell.**"), code, new_markdown_cell("cells")])
    before = nbformat.writes(book)
    write_pages({"a": book}, tmp_path, "t", {}, {"glossary": "# Glossary\n\n### cell\n\nAn entry.\n"})
    page = (tmp_path / "a.html").read_text()
    assert page.count("glossary.html#cell") == 1
    assert nbformat.writes(book) == before
    assert 'href="glossary.html"' in (tmp_path / "index.html").read_text()


def test_without_a_glossary_there_is_no_link_to_one(tmp_path):
    write_pages({"a": new_notebook(cells=[new_markdown_cell("# A cell\n\ncells")])}, tmp_path, "t", {}, {})
    assert "glossary" not in (tmp_path / "a.html").read_text() + (tmp_path / "index.html").read_text()
    assert not (tmp_path / "glossary.html").exists()
