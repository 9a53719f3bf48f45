"""Programs whose clocks leap (leap.c)."""

import os
import subprocess

from .mailferry import build_folder


def preload(folder, build=None):
    """An environment in which LEAP_FILE and LEAP_REAL_S count; the library is made in that folder."""
    library = os.path.join(folder, "leap.so")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leap.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-o", library, source], check=True)
    libraries = [library]
    if "asan" in (build or build_folder()):
        libraries.insert(0, subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True,
                                           text=True).stdout.strip())
    return {"LD_PRELOAD": " ".join(libraries)}
