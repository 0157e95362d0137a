"""Finds multipeer-cli and builds its command line."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import List, Optional

from ._errors import ProgramNotFoundError

# The number of messages that the program may send before this package has handled them.
WINDOW = 256


def command(profile: Optional[str] = None, localsend: bool = False) -> List[str]:
    """Return the command that starts the engine.

    The environment variable MULTIPEER_CLI sets the path of the program; MULTIPEER_ARGS adds flags, such as
    ``--interface lo``.
    """
    args = [find(), "api"]
    if profile is not None:
        args += ["--profile", profile]
    if localsend:
        args.append("--localsend")
    return args + shlex.split(os.environ.get("MULTIPEER_ARGS", ""))


def find() -> str:
    """Return the path of multipeer-cli."""
    named = os.environ.get("MULTIPEER_CLI")
    if named:
        return named
    name = "multipeer-cli.exe" if os.name == "nt" else "multipeer-cli"
    inside = Path(__file__).with_name("bin") / name
    if inside.exists():
        if not os.access(inside, os.X_OK):
            inside.chmod(0o755)  # some installers drop the executable bit
        return str(inside)
    found = shutil.which(name)
    if found is None or _is_here(found):
        raise ProgramNotFoundError()
    return found


def _is_here(program: str) -> bool:
    """Report whether Windows found the program only in the current folder, where anyone may have put it."""
    here = os.path.abspath(os.curdir)
    if os.name != "nt" or os.path.dirname(os.path.abspath(program)) != here:
        return False
    return here not in (os.path.abspath(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p)
