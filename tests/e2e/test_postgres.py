"""The store on a real PostgreSQL server: every test of the store but those of its file."""

import os
import shutil
import subprocess
import tempfile

import pytest

from lib import metrics, processes, reader
from lib.imapclient import ImapClient
from lib.mailferry import build_folder
from lib.postgres import Postgres


def engine(ferry):
    return metrics.Metrics([ferry.api])


@pytest.mark.parametrize("suite", ["test_store", "test_store_nodes", "test_store_uidl", "test_store_gate", "test_store_wave",
                                   "test_store_engine", "test_store_dns", "test_store_phases", "test_store_access",
                                   "test_store_journal", "test_store_lease", "test_depot", "test_errands", "test_lend",
                                   "test_store_import", "test_store_sums", "test_store_spans", "test_store_pull", "test_store_learned", "test_flips", "test_phases_look"])
def test_the_store_s_own_tests_hold_on_a_server(postgres, suite):
    done = subprocess.run([os.path.join(build_folder(), "tests/unit", suite)], capture_output=True, text=True,
                          env=dict(os.environ, MAILFERRY_TEST_PG=postgres.url), timeout=120)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    assert "PASSED" in done.stderr + done.stdout


def test_a_user_is_moved_with_the_store_on_a_server(postgres, own_ferry, stage, person):
    postgres.empty()
    stage.fill(person, {"INBOX": 20})
    ferry = own_ferry({"store": {"url": postgres.url}})
    ferry.import_users([person.name])
    ferry.wait_state([person.name], {"ready"})
    assert ferry.command("cutover", "--wave", "1", "--rate", "60", "--first-hour", "9").returncode == 0
    assert ferry.state(person.name) == "trailing"
    processes.wait_until(lambda: engine(ferry).get("mailferry_waves", state="moved") == 1, 30, "the wave to be counted")
    assert engine(ferry).get("mailferry_store_errors_total") == 0
    assert ferry.cli("report", "--wave", "1")["flips"] == 1
    assert "postgresql" not in ferry.log_text() or postgres.url not in ferry.log_text()
    assert not reader.compare(stage.read(stage.old, person), stage.read(stage.new, person))


def test_a_server_that_goes_and_comes_back_is_found_again(own_ferry, stage, person):
    folder = tempfile.mkdtemp(prefix="mailferry-pg-")
    os.chmod(folder, 0o755)
    server = Postgres(os.path.join(folder, "pg")).start()
    try:
        stage.fill(person, {"INBOX": 5})
        ferry = own_ferry({"store": {"url": server.url}})
        ferry.import_users([person.name])
        ferry.wait_state([person.name], {"ready"})
        server.stop()
        assert metrics.get(ferry.api, "/readyz", timeout_s=30)[0] == 503
        assert engine(ferry).get("mailferry_store_errors_total") > 0
        client = ImapClient(ferry.address, ferry.ports["imaps"], stage.context)
        client.login(person.name, person.password)  # from the table that the node keeps
        assert client.server_name() == "old"
        client.logout()
        server.start()
        assert ferry.command("cutover", person.name).returncode == 0
        assert ferry.state(person.name) == "trailing"
    finally:
        server.stop()
        shutil.rmtree(folder)


def test_a_password_in_the_url_is_refused(tmp_path):
    conf = tmp_path / "m.conf"
    conf.write_text('store { url = "postgresql://mailferry:secret@127.0.0.1/x" }\n')
    done = subprocess.run([os.path.join(build_folder(), "mailferry"), "check", "config", str(conf)], capture_output=True,
                          text=True)
    assert done.returncode == 2
    assert "store: url: the password does not belong here: use passfile=FILE" in done.stderr
    assert "secret" not in done.stderr + done.stdout
