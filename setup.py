"""pyproject.toml describes the package. This adds what the notebooks load: it lies beside them in notebooks/, and an
installed package carries a copy, for notebooks that lie elsewhere (`tasnlib.runs.run_folder.course_folder`)."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED = ("saved_run", "ablations", "photographs", "high_resolution")


class WithSavedResults(build_py):
    """Builds the package with the small trained run, the kept results and the figures of photographs."""

    def run(self) -> None:
        super().run()
        for name in () if self.editable_mode else CARRIED:
            target = Path(self.build_lib, "tasnlib", "notebooks", name)
            shutil.copytree(Path("notebooks", name), target, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithSavedResults})
