"""Programs with a library of ours in front of the system's: leap.c, mishap.c."""

import os
import subprocess

from .mailferry import build_folder


def preload(folder, name, build=None):
    """The environment for it; the library is made in that folder of lib/NAME.c."""
    library = os.path.join(folder, name + ".so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-o", library, source, "-ldl"], check=True)
    libraries = [library]
    if "asan" in (build or build_folder()):
        libraries.insert(0, subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True,
                                           text=True).stdout.strip())
    return {"LD_PRELOAD": " ".join(libraries)}
