"""A model that is shared comes back the same; the hub is a stand-in on this machine."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import ModelHubMixin
from PIL import Image

from tasnlib.runs.sharing import SharedModel

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "notebooks" / "saved_run"
IMAGE = Image.effect_noise((160, 150), 90).convert("RGB")


class Hub(BaseHTTPRequestHandler):
    """What huggingface_hub asks of the hub to upload and fetch small files; `server.refusal` is answered to all."""

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        if self.server.refusal:
            return self.answer(b'{"error": "no"}', self.server.refusal)
        if self.path == "/api/repos/create":
            return self.answer(json.dumps({"url": f"{self.server.url}/me/birds", "name": "me/birds"}).encode())
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return self.answer(json.dumps({"files": files}).encode())
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self.server.url}/me/birds/commit/{'a' * 40}"
            return self.answer(json.dumps({"commitUrl": url, "commitOid": "a" * 40, "success": True}).encode())
        return self.answer(b'{"errors": [], "warnings": []}')

    def do_GET(self) -> None:
        if self.server.refusal:
            return self.answer(b'{"error": "no"}', self.server.refusal)
        if "/tree/" in self.path:
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.server.files.items()
            ]
            return self.answer(json.dumps(entries).encode())
        if self.path.startswith("/api/"):
            siblings = [{"rfilename": name} for name in self.server.files]
            return self.answer(json.dumps({"id": "me/birds", "sha": "a" * 40, "siblings": siblings}).encode())
        content = self.server.files.get(self.path.rpartition("/")[2])
        if content is None:
            return self.answer(b"", 404, X_Error_Code="EntryNotFound")
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self.answer(content, ETag=etag, X_Repo_Commit="a" * 40)

    do_HEAD = do_GET

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url, server.files, server.asked, server.refusal = f"http://127.0.0.1:{server.server_port}", {}, [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def python(code: str, hub, home: Path) -> subprocess.CompletedProcess:
    """In a process of its own: huggingface_hub reads the hub's address when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_TOKEN": "hf_stand_in"}
    command = [sys.executable, "-c", f"from tasnlib.runs.sharing import SharedModel\n{code}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_a_saved_folder_gives_the_same_predictions_and_names_no_path_of_this_machine(tmp_path):
    shutil.copytree(SAVED, tmp_path / "run")
    result = json.loads((SAVED / "result.json").read_text())
    (tmp_path / "run" / "result.json").write_text(json.dumps(result | {"checkpoint": str(tmp_path / "tasn")}))
    model = SharedModel(tmp_path / "run", device="cpu")
    model.save_pretrained(tmp_path / "shared")
    assert json.loads((tmp_path / "shared" / "result.json").read_text()) == result
    again = SharedModel.from_pretrained(tmp_path / "shared")
    assert again.predict(IMAGE).probabilities == pytest.approx(model.predict(IMAGE).probabilities, abs=1e-5)
    assert {"README.md", "tasn.safetensors", "result.json"} == {path.name for path in (tmp_path / "shared").iterdir()}
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in (tmp_path / "shared").iterdir())


def test_a_folder_of_another_model_keeps_its_readme_and_none_of_its_results(tmp_path, capsys):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "README.md").write_text("written by hand")
    (shared / "by_class.json").write_text("{}")
    model = SharedModel(SAVED, device="cpu")
    assert not (SAVED / "by_class.json").exists()
    model.save_pretrained(shared)
    assert "has a README.md, which stays as it is; delete it" in capsys.readouterr().out
    assert {path.name for path in shared.iterdir()} == {"README.md", "tasn.safetensors", "result.json"}
    assert (shared / "README.md").read_text() == "written by hand"
    (shared / "README.md").unlink()
    model.save_pretrained(shared)
    assert capsys.readouterr().out == ""
    assert "# " in (shared / "README.md").read_text()


def test_the_card_says_what_was_measured_with_each_seed_and_what_was_not(tmp_path):
    other = json.loads((SAVED / "result.json").read_text()) | {"seed": 7}
    other["accuracy"] = {"master": 0.25, "downsampled": None}
    (tmp_path / "result.json").write_text(json.dumps(other))
    card = str(SharedModel(SAVED, [tmp_path], device="cpu").generate_model_card())
    for said in (
        "seed 0, 1000 test images: master 99.2 %",
        "seed 7, 1000 test images: master 25.0 %",
        "recipe: `laptop`",
    ):
        assert said in card
    missing = card.split("## Not measured")[1]
    assert "* downsampled" in missing
    assert "* more seeds than 2" in missing


def test_a_file_of_weights_and_a_missing_run_are_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match="name the output folder of a finished run"):
        SharedModel(SAVED / "tasn.safetensors")
    with pytest.raises(FileNotFoundError, match=r"typo.*result\.json"):
        SharedModel(SAVED, other_seeds=[tmp_path / "typo"])


@pytest.mark.parametrize(
    "changed",
    [{"recipe_values": {"epochs": 99}}, {"dataset": "birds_hard"}, {"seed": 0}, {"data": {"test": {"hash": "other"}}}],
)
def test_a_run_that_differs_in_more_than_the_seed_does_not_get_into_the_card(tmp_path, changed):
    other = json.loads((SAVED / "result.json").read_text()) | {"seed": 7}
    values = other["recipe_values"] | changed.pop("recipe_values", {})
    (tmp_path / "result.json").write_text(json.dumps(other | changed | {"recipe_values": values}))
    with pytest.raises(ValueError, match="other_seeds must be runs with other seeds, and with this run's"):
        SharedModel(SAVED, [tmp_path], device="cpu")


def test_only_where_the_weights_came_from_may_differ_between_the_seeds(tmp_path):
    other = json.loads((SAVED / "result.json").read_text()) | {"seed": 7}
    other["recipe_values"]["weights"] = "elsewhere"
    (tmp_path / "result.json").write_text(json.dumps(other))
    assert len(SharedModel(SAVED, [tmp_path], device="cpu").results) == 2


def test_a_home_folder_is_the_same_for_saving_and_loading(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    SharedModel(SAVED, device="cpu").save_pretrained("~/shared")
    assert SharedModel.from_pretrained("~/shared", device="cpu").class_names
    assert (tmp_path / "shared" / "README.md").is_file()
    assert not (tmp_path / "~").exists()


def test_what_was_pushed_comes_back_from_the_hub(hub, tmp_path):
    done = python(f"SharedModel({str(SAVED)!r}).push_to_hub('me/birds')", hub, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert hub.files["tasn.safetensors"] == (SAVED / "tasn.safetensors").read_bytes()
    done = python("print(len(SharedModel.from_pretrained('me/birds').class_names))", hub, tmp_path)
    assert done.stdout.strip() == "16", done.stderr[-2000:]


def test_an_address_with_401_in_it_is_no_refusal(monkeypatch):
    def unavailable(*_, **__):
        raise ConnectionError("Server error '503 Service Unavailable' for url 'http://127.0.0.1:40143/api'")

    monkeypatch.setattr(ModelHubMixin, "push_to_hub", unavailable)
    with pytest.raises(OSError, match="try again later"):
        SharedModel(SAVED, device="cpu").push_to_hub("me/birds")


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "log in"), (403, "pass a token"), (404, "check the name"), (503, "try again later")]
)
def test_a_hub_that_refuses_gives_a_sentence_and_loses_nothing(hub, tmp_path, status, remedy):
    before = {path.name: path.read_bytes() for path in SAVED.iterdir()}
    hub.refusal = status
    done = python(f"SharedModel({str(SAVED)!r}).push_to_hub('me/birds')", hub, tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("OSError: me/birds was not uploaded, and ")
    assert str(status) in last
    assert remedy in last
    assert {path.name: path.read_bytes() for path in SAVED.iterdir()} == before
    done = python("SharedModel.from_pretrained('me/birds')", hub, tmp_path)
    assert "OSError: me/birds could not be loaded: " in done.stderr.strip().splitlines()[-1]


def test_a_shared_model_goes_to_the_device_that_is_asked_for(tmp_path):
    SharedModel(SAVED, device="cpu").save_pretrained(tmp_path / "saved")
    model = SharedModel.from_pretrained(tmp_path / "saved", device="meta").model
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_a_repository_name_that_cannot_be_one_is_named(tmp_path):
    with pytest.raises(OSError, match=r"no/such/folder could not be loaded: .*check the name"):
        SharedModel.from_pretrained("no/such/folder")
