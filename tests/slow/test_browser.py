"""The notebooks in a real browser: JupyterLab on the loopback, headless Chromium, sliders moved by keyboard and mouse.

Needs the system's Chromium (Debian and Ubuntu: `apt-get install chromium`); skipped where there is none, except in CI.
"""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent.parent
TOKEN = "only-for-this-test"
WORKSPACES = (f"auto-{n}" for n in itertools.count())
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("CI must have Chromium: the tests in a browser are never skipped there")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; Debian and Ubuntu: apt-get install chromium"
)


def settings(folder: Path) -> None:
    """Quiet and complete: no news, and every cell rendered even where it is scrolled away."""
    for plugin, values in {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }.items():
        path = folder / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab over a copy of the notebooks; its address."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings(home / "settings")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home / 'notebooks'}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    environment = {**os.environ, "HOME": str(home), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    log = (home / "lab.log").open("w")
    with subprocess.Popen(command, stdout=log, stderr=log, env=environment) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: ask(address, "status") is not None, 60, lambda: (home / "lab.log").read_text()[-2000:])
            yield address
        finally:
            server.terminate()


def ask(address: str, what: str):
    try:
        with urllib.request.urlopen(f"{address}/api/{what}?token={TOKEN}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def wait_for(condition, seconds: float, explain=lambda: "") -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain. {explain()}")
        time.sleep(0.3)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def run_all(browser, lab: str, notebook: str):
    """Open a notebook, run all its cells, and give back the page once all have a number."""
    for context in browser.contexts:  # a page that a failed test left open
        context.close()
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{lab}/lab/workspaces/{next(WORKSPACES)}/tree/{notebook}?token={TOKEN}")  # nothing restored

    def idle() -> bool:
        sessions = [one for one in ask(lab, "sessions") or [] if one["path"].endswith(notebook)]
        return bool(sessions) and sessions[0]["kernel"]["execution_state"] == "idle"

    page.wait_for_selector(".jp-Notebook", timeout=60_000)
    wait_for(idle, 60)
    page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    count = "document.querySelectorAll('.jp-CodeCell').length"
    last = f"[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)[{count} - 1]"
    wait_for(lambda: page.evaluate(last).strip(" []:").isdigit(), 180, lambda: page.evaluate(last))
    wait_for(idle, 60)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
    return page


def outputs_with(page, selector: str):
    """The outputs that hold such a widget, once it is there."""
    page.wait_for_selector(f".jp-OutputArea-output {selector}", timeout=30_000, state="attached")
    return page.locator(f".jp-OutputArea-output:has({selector})")


def picture_of(output) -> str:
    return output.locator("img[src^='data:image/png']").first.get_attribute("src")


def changes(output, action) -> None:
    """Do something to a control, again where it went unnoticed: JupyterLab may move the focus while it is busy."""
    before = picture_of(output)
    for attempt in range(3):
        action()
        try:
            wait_for(lambda: picture_of(output) != before, 10, lambda: "the picture did not change")
            return
        except TimeoutError:
            if attempt == 2:
                raise


def drag_a_little(page, handle) -> None:
    """Press on a slider's handle, pull it along its track, let go."""
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
    # Towards the far end, so that it moves wherever it stood.
    goal = track["x"] + track["width"] * (0.1 if x > track["x"] + track["width"] / 2 else 0.9)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(goal, y, steps=5)
    page.mouse.up()


def drag_and_press_the_bump(page) -> None:
    output = outputs_with(page, ".tasn-pad").first
    pad = output.locator(".tasn-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()

    def drag():
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"], steps=8)
        page.mouse.up()

    def press():
        pad.focus()
        page.keyboard.press("ArrowRight")

    changes(output, drag)
    changes(output, press)
    width, max_zoom = output.locator(".noUi-handle").all()
    changes(output, lambda: width.press("ArrowRight"))
    changes(output, lambda: max_zoom.press("Home"))  # to 1: no zoom at all, whatever the width


def click_and_press_the_wall(page) -> None:
    """Three tiles by mouse, one by keyboard; the chosen one is marked and its number stands over its picture."""
    output = outputs_with(page, ".tasn-wall").first
    tiles, everything = output.locator(".tasn-tile"), output.locator(".tasn-wall")
    assert tiles.count() == 32
    changes(output, lambda: tiles.nth(9).click())
    changes(output, lambda: tiles.last.click())
    changes(output, lambda: tiles.first.click())

    def press():
        everything.focus()
        page.keyboard.press("ArrowDown")

    changes(output, press)
    assert [n for n in range(32) if tiles.nth(n).get_attribute("aria-selected") == "true"] in ([8], [16], [24])
    picture, tile = everything.locator("img").bounding_box(), tiles.last.bounding_box()
    assert abs(picture["x"] + picture["width"] - tile["x"] - tile["width"]) < 1.5  # tiles lie on the picture
    assert abs(picture["y"] + picture["height"] - tile["y"] - tile["height"]) < 1.5


def open_a_file_and_choose_species(page, folder: Path) -> None:
    Image.new("RGB", (90, 60), "brown").save(folder / "brown.png")
    upload = outputs_with(page, "button.widget-upload").first

    def open_file():
        with page.expect_file_chooser() as chooser:
            upload.locator("button.widget-upload").click()
        chooser.value.set_files(folder / "brown.png")

    changes(upload, open_file)
    menus = outputs_with(page, ".widget-dropdown select").first
    for menu in menus.locator("select").all():
        changes(menus, lambda menu=menu: menu.select_option(index=7))


@pytest.mark.parametrize("notebook", ["03_attention_sampler.ipynb", "04_distillation.ipynb", "07_explore.ipynb"])
def test_every_slider_changes_its_picture_by_keyboard_and_by_mouse(browser, lab, notebook, tmp_path):
    page = run_all(browser, lab, notebook)
    outputs_with(page, ".noUi-handle")
    outputs = page.locator(".jp-OutputArea-output:has(.noUi-handle):not(:has(.tasn-pad))")
    assert outputs.count() > 0
    for n in range(outputs.count()):
        output = outputs.nth(n)
        handles = output.locator(".noUi-handle")
        for k in range(handles.count()):
            handle = handles.nth(k)

            def press(handle=handle):
                handle.focus()
                at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
                page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")

            changes(output, press)
            changes(output, lambda handle=handle: drag_a_little(page, handle))
    if notebook.startswith("03"):
        drag_and_press_the_bump(page)
    if notebook.startswith("07"):
        click_and_press_the_wall(page)
        open_a_file_and_choose_species(page, tmp_path)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    page.close()
