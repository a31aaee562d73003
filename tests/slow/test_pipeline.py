"""The whole course headless: in order, stopped by the first error, resumed where it stopped, summarised on one page."""

import base64
import contextlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from playwright.sync_api import sync_playwright

from tasnlib.course import pipeline
from tasnlib.course.notebook_errors import STATE, VIEW, find_error
from tasnlib.runs.settings import Settings
from tests.slow.test_browser import CHROMIUM

COURSE = Path(__file__).parent.parent.parent / "notebooks"
RAN = "from pathlib import Path\nwith Path('../ran.txt').open('a') as file:\n    print('{}', file=file)"


class Place(NamedTuple):
    """Notebooks in one folder, their results in another, a list of what ran beside them."""

    root: Path

    def write(self, name: str, *cells, parameters: str = "") -> None:
        """A notebook that notes that it runs; a cell is markdown where it begins with '#'."""
        made = [new_code_cell(parameters, metadata={"tags": ["parameters"]})] if parameters else []
        made += [new_markdown_cell(f"# {name[:2]} · About {name[3:]}\n\n**A promise.**")]
        made += [new_code_cell(RAN.format(name))]
        made += [new_markdown_cell(cell) if cell.startswith("#") else new_code_cell(cell) for cell in cells]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        (self.root / "notebooks").mkdir(exist_ok=True)
        nbformat.write(new_notebook(cells=made, metadata=kernel), self.root / "notebooks" / f"{name}.ipynb")

    @property
    def arguments(self) -> list[str]:
        return ["--profile", "smoke", "--notebooks", str(self.root / "notebooks"), "--folder", str(self.out)]

    @property
    def out(self) -> Path:
        return self.root / "out"

    def run(self, *more: str) -> int:
        return pipeline.main([*self.arguments, *more])

    def ran(self) -> list[str]:
        return (self.root / "ran.txt").read_text().split()

    def printed(self, name: str) -> str:
        cells = nbformat.read(self.out / f"{name}.ipynb", 4).cells
        return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def picture(colour: str) -> str:
    """Code that shows a square of this colour."""
    png = io.BytesIO()
    Image.new("RGB", (9, 9), colour).save(png, "PNG")
    encoded = base64.b64encode(png.getvalue()).decode()
    alt = f"metadata={{'image/png': {{'alt': 'a {colour} square'}}}}"
    return f"import base64\nfrom IPython.display import *\ndisplay(Image(base64.b64decode('{encoded}')), {alt})"


@pytest.fixture(scope="module")
def asked():
    """The addresses that a server on this machine was asked for; the first entry is its own address."""
    seen: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seen.append(f"http://127.0.0.1:{server.server_port}")
    yield seen
    server.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, asked) -> tuple[Place, str]:
    """A course of four notebooks, run once, and what was printed. Only to be looked at: see `copied`."""
    place = Place(tmp_path_factory.mktemp("whole"))
    remote = "".join(f'<{tag} src="{asked[0]}/{tag}"></{tag}>' for tag in ("img", "script", "iframe"))
    remote += f'<link rel="stylesheet" href="{asked[0]}/style"><style>@import "{asked[0]}/import";</style>'
    place.write("06_ablations", "## Which one", f"HTML = {TABLE!r}\n{SHOW}", parameters="profile = 'laptop'")
    training = "recipe = 'laptop'\noutput_folder = None\nresume = False"
    place.write(
        "05_train", f"import json\nprint(output_folder, resume)\nprint(json.dumps({RESULT}))", parameters=training
    )
    place.write("03_pictures", "## Same heading", picture("red"), picture("blue"))
    text = "## Same heading\n\n$x^2$, [03](03_pictures.ipynb), [paper](https://arxiv.org/abs/1903.06150), [here](a.txt)"
    place.write(
        "01_text", text, f"HTML = {remote!r}\n{SHOW}", "import ipywidgets\nipywidgets.IntSlider()", "print(6 * 7)"
    )
    place.write("draft", "raise RuntimeError('not part of the course')")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert place.run() == 0
    return place, shown.getvalue()


SHOW = "from IPython import display\ndisplay.display(display.HTML(HTML))"
TABLE = "<table><tr><td>uniform attention</td><td>24.5 ± 0.7</td></tr></table>"
RESULT = '{"recipe": recipe, "accuracy": {"master": 0.9871, "downsampled": None}, "recipe_values": {"scale": 7.25}}'


@pytest.fixture
def copied(whole, place) -> Place:
    shutil.copytree(whole[0].root, place.root, dirs_exist_ok=True)
    return place


# -- Running ----------------------------------------------------------------------------------------------------------


def test_all_run_in_order_in_their_own_folder_and_tell_it_in_one_line_each(whole):
    place, shown = whole
    assert place.ran() == ["01_text", "03_pictures", "05_train", "06_ablations"]
    lines = shown.splitlines()
    for line, name in zip(lines, place.ran(), strict=False):
        assert re.fullmatch(rf"{name}: running \.\.\. \d+ s", line)
    assert len(lines) == 5
    assert lines[-1].startswith("pages: ")


def test_parameters_reach_the_notebooks_that_have_them(whole):
    place = whole[0]
    printed = place.printed("05_train")
    assert json.loads(printed.splitlines()[-1])["recipe"] == "smoke"
    # A training of its own, named without a path of this machine.
    assert re.match(r"\.\./out/05_train-training-[0-9a-f]{16} True\n", printed)
    assert 'profile = "smoke"' in (place.out / "06_ablations.ipynb").read_text().replace("\\", "")
    executed = nbformat.read(place.out / "01_text.ipynb", 4)
    assert not any("injected-parameters" in cell.metadata.get("tags", []) for cell in executed.cells)


@pytest.mark.parametrize("profile", pipeline.PROFILES)
def test_the_courses_notebook_05_takes_its_parameters(profile):
    settings = Settings(**pipeline.parameters_for(COURSE / "05_train_full.ipynb", profile))
    assert (settings.recipe, settings.dataset) == ({"gpu": "modern"}.get(profile, profile), "birds")
    assert settings.precision == ("bfloat16" if profile == "gpu" else "float32")
    assert settings.resolved_recipe.image_size == (512 if profile == "gpu" else 144)


def test_what_is_finished_is_not_run_again_until_it_is_asked_for(copied, capsys):
    before = copied.ran()
    assert copied.run() == 0
    assert copied.ran() == before
    shown = capsys.readouterr().out
    assert len(re.findall(r"^0\w+: done before, in \d+ s$", shown, re.M)) == 4
    for name in before[1:]:
        (copied.root / "notebooks" / f"{name}.ipynb").unlink()
    assert copied.run("--again") == 0
    assert copied.ran() == [*before, "01_text"]


def test_only_what_changed_runs_again(copied):
    before = copied.ran()
    path = copied.root / "notebooks" / "03_pictures.ipynb"
    path.write_text(path.read_text().replace("Same heading", "Another heading"))
    assert copied.run() == 0
    assert copied.ran() == [*before, "03_pictures"]
    assert "Another heading" in (copied.out / "03_pictures.html").read_text()


def test_a_result_that_was_cut_off_is_run_again(copied):
    before, executed = copied.ran(), copied.out / "03_pictures.ipynb"
    executed.write_bytes(executed.read_bytes()[:-40])
    assert copied.run() == 0
    assert copied.ran() == [*before, "03_pictures"]


def test_the_key_holds_what_a_result_depends_on_and_nothing_else(place):
    place.write("01_a", "load('net.safetensors')", "load('saved')")
    notebook, library = place.root / "notebooks" / "01_a.ipynb", place.root / "library"
    (library / "inner").mkdir(parents=True)

    def key(parameters: dict | None = None) -> str:
        return pipeline.key_of(notebook, parameters or {}, library)

    def changes(change: Callable[[], object]) -> bool:
        before = key()
        change()
        return key() != before

    assert key({"recipe": "smoke"}) != key({"recipe": "laptop"})
    assert changes(lambda: (library / "inner" / "new.py").write_text("a = 1"))
    assert changes(lambda: (library / "inner" / "new.py").write_text("a = 2"))
    assert changes(lambda: (notebook.parent / "net.safetensors").write_bytes(b"1"))
    assert changes(lambda: (notebook.parent / "net.safetensors").write_bytes(b"2"))
    assert not changes(lambda: (notebook.parent / "other.safetensors").write_bytes(b"2"))
    for folder in ("saved", "unnamed"):
        (notebook.parent / folder).mkdir()
    assert changes(lambda: (notebook.parent / "saved" / "other.safetensors").write_bytes(b"2"))
    assert not changes(lambda: (notebook.parent / "unnamed" / "other.safetensors").write_bytes(b"2"))
    assert not changes(lambda: (library / "notes.txt").write_text("not code"))

    def commit_with_outputs():
        executed = nbformat.read(notebook, 4)
        executed.cells[-1].update(execution_count=3, outputs=[new_output("stream", text="printed")])
        nbformat.write(executed, notebook)

    assert not changes(commit_with_outputs)
    assert changes(lambda: notebook.write_text(notebook.read_text().replace("load(", "load_from(")))


# -- Errors -----------------------------------------------------------------------------------------------------------


def test_the_first_error_stops_it_and_once_mended_it_continues_there(place, capsys):
    place.write("01_first")
    place.write("02_second", "## Text", "\n# what follows fails\n1 / 0")
    place.write("03_third")
    place.out.mkdir()
    (place.out / "index.html").write_text("of an earlier run")
    assert place.run() == 1
    shown = capsys.readouterr()
    assert re.fullmatch(r"01_first: running \.\.\. \d+ s\n02_second: running \.\.\. stopped\n", shown.out)
    assert shown.err.splitlines()[:2] == [
        "error in 02_second.ipynb, cell 4 (In [2]): # what follows fails",
        "    ZeroDivisionError: division by zero",
    ]
    assert "02_second.unfinished.ipynb" in shown.err
    assert "ZeroDivisionError" in (place.out / "02_second.unfinished.ipynb").read_text()
    assert sorted(path.name for path in place.out.iterdir()) == ["01_first.ipynb", "02_second.unfinished.ipynb"]

    place.write("02_second", "1 / 1")
    assert place.run() == 0
    assert place.ran() == ["01_first", "02_second", "02_second", "03_third"]
    assert {path.suffix for path in place.out.iterdir()} == {".ipynb", ".html"}
    assert not list(place.out.glob("*.unfinished.*"))


def test_an_error_hidden_in_a_widget_is_found(place, capsys):
    place.write("01_a", "def draw(n):\n    raise ValueError(f'no picture of {n}')", "import ipywidgets", INTERACT)
    assert place.run() == 1
    error = capsys.readouterr().err
    assert f"error in 01_a.ipynb, cell 5 (In [4]): {INTERACT}\n    ValueError: no picture of 1\n" in error
    assert not (place.out / "01_a.ipynb").exists()


INTERACT = "_ = ipywidgets.interact(draw, n=(0, 3))"


def test_a_kernel_that_dies_is_an_error_at_the_cell_that_killed_it(place, capsys):
    place.write("01_a", "import os\nos._exit(3)", "print('never')")
    assert place.run() == 1
    # The number in In [ ] is known only where the kernel's last message came through.
    expected = r"error in 01_a.ipynb, cell 3( \(In \[2\]\))?: import os\n    DeadKernelError: Kernel died\n"
    assert re.match(expected, capsys.readouterr().err)


def executed(*cells: tuple[str, list], state: dict | None = None):
    """A notebook as if these (source, outputs) had been executed."""
    made = [new_code_cell(source, execution_count=n, outputs=out) for n, (source, out) in enumerate(cells, 1)]
    return new_notebook(cells=made, metadata={"widgets": {STATE: {"state": state or {}}}})


def test_errors_that_papermill_passes_over_are_found():
    fine = ("print(1)", [new_output("stream", name="stdout", text="Traceback (most recent call last), explained")])
    warned = ("warn()", [new_output("stream", name="stderr", text="UserWarning: slow\n")])
    assert find_error(executed(fine, warned)) is None

    text = "Exception in thread\nTraceback (most recent call last):\n  File 'a'\n    go()\nOSError: gone\nmore\n"
    thread = ("thread.start()", [new_output("stream", name="stderr", text=text)])
    assert str(find_error(executed(fine, thread))) == "cell 2 (In [2]): thread.start()\n    OSError: gone"

    ended = executed(("sys.exit()", []), ("print(2)", []))
    ended.cells[1].execution_count = None
    assert "cell 2: print(2)\n    this cell was not executed" in str(find_error(ended))


def test_an_error_in_a_widget_is_traced_to_the_cell_that_shows_it():
    error = {"output_type": "error", "ename": "KeyError", "evalue": "'wing'", "traceback": []}
    state = {
        "box": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_out"]}},
        "out": {"model_name": "OutputModel", "state": {"outputs": [error]}},
    }
    show = ("show()", [new_output("display_data", data={VIEW: {"model_id": "box"}})])
    found = find_error(executed(("print(1)", []), show, ("print(2)", []), state=state))
    assert (found.cell, found.message) == (2, "KeyError: 'wing'")
    assert find_error(executed(("print(1)", []), state=state)).cell == 0


# -- Stopped from outside ----------------------------------------------------------------------------------------------

WAIT = "import time\nPath('../waiting').touch()\nwhile Path('../hold').exists():\n    time.sleep(0.05)"


def test_a_run_that_is_killed_leaves_nothing_that_looks_whole(place, capsys):
    place.write("01_first")
    place.write("02_second", WAIT, "print('done')")
    (place.root / "hold").touch()
    command = [sys.executable, "-m", "tasnlib.course.pipeline", *place.arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 60
            while not (place.root / "waiting").exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            process.kill()  # SIGKILL: nothing can be put in order
    assert (place.out / "01_first.ipynb").is_file()
    assert sorted(path.name for path in place.out.glob("02*")) == ["02_second.unfinished.ipynb"]
    assert not (place.out / "index.html").exists()
    (place.root / "hold").unlink()
    assert place.run() == 0
    assert place.ran() == ["01_first", "02_second", "02_second"]
    assert "done before" in capsys.readouterr().out.splitlines()[0]


def test_control_c_stops_cleanly_and_says_how_to_continue(place, capsys):
    # The kernel presses it: its parent is this process.
    place.write("01_a", "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)")
    begun = time.monotonic()
    assert place.run() == 130
    assert time.monotonic() - begun < 30
    assert "the same command" in capsys.readouterr().err
    assert [path.name for path in place.out.iterdir()] == ["01_a.unfinished.ipynb"]


# -- Refused before anything runs --------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_refused(place, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (place.root / "notebooks").mkdir()
    assert place.run() == 2
    assert "there are no notebooks in" in capsys.readouterr().err
    place.write("05_train", parameters="receipe = 'laptop'")
    place.write("01_a")
    assert place.run() == 2
    assert "no parameter 'recipe'. Did you mean 'receipe'?" in capsys.readouterr().err
    assert place.run("--profile", "server") == 2
    assert "profile is 'server'; it must be one of smoke, laptop, gpu" in capsys.readouterr().err
    assert place.run("--profile", "gpu") == 2
    assert "torch finds no GPU" in capsys.readouterr().err
    assert not (place.root / "ran.txt").exists()
    assert not place.out.exists()


# -- The pages ---------------------------------------------------------------------------------------------------------


def test_the_index_tells_what_was_run(whole):
    text = (whole[0].out / "index.html").read_text()
    plain = re.sub(r"<[^>]+>", " ", text)
    for expected in ("size smoke", "01 · About text", "A promise.", platform.python_version(), "recipe = smoke"):
        assert expected in plain
    assert "master: 98.7 %" in plain
    assert "downsampled:" not in plain  # which was not run
    assert str(whole[0].root) not in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian and Ubuntu: apt-get install chromium")
def test_pages_open_offline_with_every_figure_and_send_no_request(whole, asked):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        for path in sorted(whole[0].out.glob("*.html")):
            page.goto(path.as_uri())
            page.wait_for_timeout(200)
        assert asked[1:] == []  # although a notebook holds five addresses of that server
        page.goto((whole[0].out / "index.html").as_uri())
        page.get_by_text("About pictures").click()
        drawn = "[...document.images].filter(one => one.naturalWidth).map(one => one.alt)"
        assert page.evaluate(drawn) == ["a red square", "a blue square"]
        page.goto((whole[0].out / "01_text.html").as_uri())
        assert page.locator("math").count() == 1
        assert page.get_by_text("42", exact=True).count() == 1
        assert page.locator("a", has_text="03").get_attribute("href") == "03_pictures.html"
        browser.close()


def test_the_server_of_this_test_notices_a_request(asked):
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{asked[0]}/noticed", timeout=5)
    assert asked.pop() == "/noticed"
