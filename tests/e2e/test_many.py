"""A store of some thousands of users, as the bench fills it: sums add up, filters find, and nobody is passed over."""

import os
import sqlite3
import sys

import pytest

from lib import processes
from lib.mailferry import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import desk  # noqa: E402

pytestmark = pytest.mark.any_servers

USERS, SESSIONS = 2500, 400     # the engine looks at 1000 in one go


@pytest.fixture
def many(own_ferry):
    f = own_ferry({"run": {"nodes": 1}})
    f.stop()
    path = os.path.join(f.folder, "store", "mailferry.db")
    desk.fill(path, USERS, SESSIONS)
    with sqlite3.connect(path) as db:     # nobody of them is to be worked on
        db.execute("UPDATE users SET state = 'done'")
    return f.start(new_store=False)


def test_sums_and_the_last_in_line(many, stage):
    f, last = many, stage.take()    # user999@example.com comes after all the others
    status = f.cli("status")
    assert status["users"]["users"] == USERS == sum(w["users"] for w in status["waves"])
    assert status["users"]["states"]["done"] == USERS and status["users"]["to_compare"] == 0
    assert status["users"]["stuck"] == len([i for i in range(USERS) if i % 1000 == 0])
    assert status["sessions"]["total"] == SESSIONS
    assert [(p["proto"], p["total"]) for p in status["sessions"]["protocols"]] == [("imap", SESSIONS * 4 // 5), ("pop3", SESSIONS // 5)]
    assert len(f.cli("users")["users"]) == USERS
    report = f.cli("report", "--final")["report"]
    assert report["total"]["users"] == report["total"]["not_verified"] == USERS == len(report["verify"]["not_verified"])
    assert report["total"]["logins"]["old"] == {"asked": 3 * USERS, "failed": 0}
    assert report["total"]["holds"]["count"] == USERS // 10 and sum(w["users"] for w in report["waves"]) == USERS
    assert len(report["domains"]) == 50 and sum(d["states"]["done"] for d in report["domains"]) == USERS
    stage.fill(last, {"INBOX": 2})
    f.import_users([last.name])
    processes.wait_until(lambda: f.cli("why", last.name)["user"]["state"] == "ready", 30, "the last of them to be looked at")
