"""Builds a wheel with the program inside: MULTIPEER_WHEEL_PROGRAM is its path, MULTIPEER_WHEEL_TAG the platform tag.

Without them, the wheel is pure Python and looks for multipeer-cli on PATH.
"""

import os
import shutil
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProgramHook(BuildHookInterface):
    def initialize(self, version, build_data):
        bin_dir = Path(self.root, "multipeer", "bin")
        shutil.rmtree(bin_dir, ignore_errors=True)
        program = os.environ.get("MULTIPEER_WHEEL_PROGRAM")
        if not program:
            return
        bin_dir.mkdir()
        inside = bin_dir / Path(program).name
        shutil.copyfile(program, inside)
        inside.chmod(0o755)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + os.environ["MULTIPEER_WHEEL_TAG"]

    def finalize(self, version, build_data, artifact_path):
        shutil.rmtree(Path(self.root, "multipeer", "bin"), ignore_errors=True)
