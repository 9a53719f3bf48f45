"""The store on a real PostgreSQL server: every test of the store but those of its file."""

import os
import shutil
import subprocess
import tempfile

import pytest

from lib.mailferry import build_folder
from lib.postgres import Postgres


@pytest.fixture(scope="module")
def server():
    folder = tempfile.mkdtemp(prefix="mailferry-pg-")
    os.chmod(folder, 0o755)
    p = Postgres(os.path.join(folder, "pg")).start()
    yield p
    p.stop()
    shutil.rmtree(folder)


@pytest.mark.parametrize("suite", ["test_store", "test_store_nodes"])
def test_the_store_s_own_tests_hold_on_a_server(server, suite):
    done = subprocess.run([os.path.join(build_folder(), "tests/unit", suite)], capture_output=True, text=True,
                          env=dict(os.environ, MAILFERRY_TEST_PG=server.url), timeout=120)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    assert "PASSED" in done.stderr + done.stdout
