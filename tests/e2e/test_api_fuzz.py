"""The API under requests that nobody meant (tests/fuzz/api.py). `make fuzz-api` runs it longer, under the sanitizers."""

import os
import random
import sys
import time

from lib import processes
from lib.httpapi import Api, token
from lib.openapi import ROOT, OpenApi

sys.path.insert(0, os.path.join(ROOT, "tests", "fuzz"))

from api import Fuzzer  # noqa: E402

SECONDS = float(os.environ.get("API_FUZZ_SECONDS", "6"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)


def test_no_crash_no_5xx_no_secret(own_ferry, stage):
    people = [stage.take() for _ in range(3)]
    f = own_ferry({"api": {"listen": "127.0.0.1:0", "tls": False, "tokens": "tokens"}, "run": {"nodes": 1}})
    marked = [f.secret_file("marked-%d" % i, "MARKED-SECRET-%d" % i) for i in range(2)]
    f.import_users([{"user": people[0].name, "wave": "1"}, {"user": people[1].name, "wave": "2"},
                    {"user": people[2].name, "wave": "2", "old_password_file": marked[0], "new_password_file": marked[1]}])
    f.wait_state([p.name for p in people[:2]], "ready")
    tokens = {role: token(f, "of-" + role, role) for role in ("view", "operate")}
    secrets = ["MARKED-SECRET-", *tokens.values(), *(p.password for p in people), *stage.old.masters.values()]
    pool = {"user": [p.name for p in people], "wave": ["1", "2"], "node": ["proxy-1"], "domain": ["example.com"],
            "check": ["quota", "uids", "server"], "folder": ["/tmp", f.folder], "level": ["full", "info"], "verb": ["loglevel"],
            "csv": ["user,wave\nx@example.com,3\n", "user,old_login,old_password_file\n%s,a,%s\n" % (people[2].name, marked[0])]}
    engine, caller = f.engine(), Api(f)
    fuzzer = Fuzzer(OpenApi(), caller.connect, tokens, pool, secrets, SEED)
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            fuzzer.step()
    finally:
        print("seed %d: %s" % (SEED, fuzzer.report()))
    assert f.engine() == engine, "the engine ended"
    assert not f.complaints()
    assert Api(f, bearer=tokens["view"]).status("/v1/status") == 200
    assert processes.alive(engine) and fuzzer.counts["requests"] > 50
