"""Evaluation in several processes: every image exactly once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasnlib.training.evaluation import evaluate
from tests.training.test_evaluation import some_birds, some_model

SCRIPT = """
import json, sys
import torch
from tasnlib.training.devices import leave_processes, make_accelerator
from tasnlib.training.evaluation import evaluate
from tests.training.test_evaluation import some_birds, some_model

torch.set_num_threads(1)
accelerator = make_accelerator()
found = evaluate(some_model(), some_birds(int(sys.argv[1])), int(sys.argv[2]), accelerator)
if accelerator.is_main_process:
    print("found " + json.dumps([accelerator.num_processes, {name: a.tolist() for name, a in found.items()}]))
leave_processes()
"""


@pytest.mark.parametrize(("processes", "count", "batch_size"), [(2, 7, 4), (3, 2, 6)])
def test_any_number_of_processes_gives_the_same_predictions(tmp_path, processes, count, batch_size):
    (tmp_path / "script.py").write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launcher, str(tmp_path / "script.py"), str(count), str(batch_size)],
        capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    number, found = json.loads(line.removeprefix("found "))
    assert number == processes
    assert found == {name: classes.tolist() for name, classes in evaluate(some_model(), some_birds(count), 1).items()}
