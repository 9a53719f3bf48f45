"""The migration tool: pulls a user's mail from the old server into the new Dovecot, as the real one is known to."""

import imaplib
import re
import secrets
import ssl
import threading
import time
import urllib.parse

from .errors import MALFORMED, MISSING, UNKNOWN, ApiError

JOB_USERS_MAX = 500
PORTS = {"imap4", "imap4s", "pop3", "pop3s"}
LIST = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?P<delim>.)"|NIL) (?P<name>.+)$')


class Pull:
    """
    text_counters    "mixed", "numbers" or "strings"
    pull_missing     an address that is not there: "call" fails, or only its "element"
    pull_limit       users of a job that are accepted
    never_start      jobs stay waiting; critical: local addresses that end with critical errors
    pull_go          threading.Event: while it is clear, a job waits before its next user
    list_lags        migration_jobs does not have the jobs yet
    forge_status     a function that is given the answer of migration_status, and changes it
    pull_context     ssl.SSLContext for the old server
    """

    def __init__(self):
        self.pull_context = ssl.create_default_context()

    def forget_jobs(self):
        self.text_counters, self.pull_missing, self.pull_limit = "mixed", "call", JOB_USERS_MAX
        self.never_start, self.critical = False, set()
        self.list_lags, self.forge_status = False, None
        self.pull_go = threading.Event()
        self.pull_go.set()
        self.jobs = {}
        self.trace_secret = secrets.token_hex(8)

    # ---- methods

    def do_migration_add(self, caller, body):
        users = body.get("users")
        if not isinstance(users, list) or not users or len(users) > self.pull_limit:
            raise ApiError(MALFORMED, "users must be a list of 1 to %d" % self.pull_limit)
        job = body.get("job") or "%d" % (self.now() * 1000)
        for u in users:
            self._check_element(caller, u)
        self.jobs[job] = {"admin": caller.user, "date": int(self.now()), "users": [
            {"local": u["local"], "request": u, "folders": {}, "started": False, "done": False, "critical": 0,
             "trace": []} for u in users if u["local"] in self.users]}
        if not self.never_start:
            threading.Thread(target=self._run, args=(self.jobs[job],), daemon=True).start()
        return {"job": job}

    def _check_element(self, caller, u):
        if not isinstance(u, dict) or not all(isinstance(u.get(k), str) and u[k] for k in
                                              ("local", "remote", "password", "server", "method")):
            raise ApiError(MALFORMED, "users need local, remote, password, server and method")
        if set(u) - {"local", "remote", "password", "server", "method", "skip", "translate"}:
            raise ApiError(UNKNOWN)
        if u["method"] not in PORTS or not re.match(r"[^:]+:\d+$", u["server"]):
            raise ApiError(UNKNOWN, hints={"server": "host:port", "method": "one of " + ", ".join(sorted(PORTS))})
        self._may(caller, u["local"].split("@")[-1], True)
        if u["local"] not in self.users and self.pull_missing == "call":
            raise ApiError(MISSING, "User does not exist: %s" % u["local"])

    def do_migration_jobs(self, caller, body):
        return {"jobs": [{"date": j["date"], "job": name} for name, j in self.jobs.items()
                         if j["admin"] == caller.user and not self.list_lags]}

    def _job(self, caller, body):
        job = self.jobs.get(body.get("job"))
        if not job or job["admin"] != caller.user:
            raise ApiError(MISSING)
        return job

    def do_migration_status(self, caller, body):
        answer = {"rate": "512.4 KiB/s", "users": [{"data": self._data(u), "user": u["local"]}
                                                   for u in self._job(caller, body)["users"]]}
        if self.forge_status:
            self.forge_status(answer)
        return answer

    def _data(self, u):
        r = u["request"]
        data = {"config": {"server": r["server"], "method": r["method"], "username": r["remote"]},
                "folders": {n: self._counters(f) for n, f in u["folders"].items()}}
        if u["started"]:
            whole = {k: sum(f.get(k, 0) for f in u["folders"].values())
                     for k in ("bytes", "migrate_count", "skip_count", "fail_count", "remote_count")}
            data["status"] = self._counters({**whole, "foldercount": len(u["folders"]), "critical_errors": u["critical"]})
        return data

    def _counters(self, counters):
        def shown(key, value):
            as_text = self.text_counters == "strings" or (
                self.text_counters == "mixed" and key in ("next_uid", "remote_count", "critical_errors"))
            return str(value) if as_text and type(value) is int else value
        return {k: shown(k, v) for k, v in counters.items()}

    def do_migration_trace(self, caller, body):
        for u in self._job(caller, body)["users"]:
            if u["local"] == body.get("user") and u["started"]:
                asked = {"type": "migrationtrace", "id": "%s:%s" % (u["local"], body["job"]), "user": caller.user,
                         "token": self.trace_secret}
                return {"trace": "%s/oma_file/get?%s" % (self.url, urllib.parse.urlencode(asked))}
        raise ApiError(MISSING)

    def trace_file(self, path):
        """What the URL above answers; None: there is no such file."""
        address, _, query = path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        local, _, job = asked.get("id", "").partition(":")
        if address != "/api/oma_file/get" or asked.get("token") != self.trace_secret or job not in self.jobs:
            return None
        for u in self.jobs[job]["users"]:
            if u["local"] == local:
                return "\n".join(u["trace"]) + "\n"
        return None

    # ---- the work

    def _run(self, job):
        for u in job["users"]:
            self.pull_go.wait()
            u["started"] = True
            try:
                self._pull(u)
            except (imaplib.IMAP4.error, OSError) as e:
                u["critical"] += 1
                u["trace"].append("error: %s" % e)
            if u["local"] in self.critical:
                u["critical"] += 1
            u["done"] = True

    def _pull(self, u):
        if u["request"]["method"].startswith("pop3"):
            raise OSError("this stand-in pulls by IMAP only")
        old, new = self._old(u["request"]), self._new(u["local"])
        for delim, name in self._folders(old):
            folder = u["folders"].setdefault(name, {"next_uid": 1, "remote_count": 0, "delim": delim})
            if name in u["request"].get("skip", []):
                folder["remote_count"] = folder["skip_count"] = self._select(old, name)
                continue
            local = u["request"].get("translate", {}).get(name) or name.replace(delim, ".")
            self._pull_folder(old, new, name, local, folder)
            u["trace"].append("%s: %s" % (name, folder))
        old.logout()
        new.logout()

    def _old(self, r):
        host, port = r["server"].rsplit(":", 1)
        old = (imaplib.IMAP4_SSL(host, int(port), ssl_context=self.pull_context) if r["method"] == "imap4s"
               else imaplib.IMAP4(host, int(port)))
        old.login(r["remote"], r["password"])
        return old

    def _new(self, local):
        with self.lock:
            token = self.add_token(local, None, 3600)
        new = imaplib.IMAP4("127.0.0.1", self.mailboxes.server.ports["imap"])
        new.login(local, token)
        return new

    @staticmethod
    def _folders(box):
        for line in box.list()[1]:
            found = LIST.match(line)
            if found and b"\\noselect" not in found.group("flags").lower():
                yield (found.group("delim") or b".").decode(), found.group("name").strip(b'"').decode()

    @staticmethod
    def _select(box, name):
        status, data = box.select('"%s"' % name, readonly=True)
        if status != "OK":
            raise imaplib.IMAP4.error("%s cannot be opened" % name)
        return int(data[0])

    @staticmethod
    def _ids(box, count):
        """The Message-ID of each message, in order."""
        said = box.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1] if count else []
        return [part[1].strip().lower() for part in said if isinstance(part, tuple)]

    def _pull_folder(self, old, new, name, local, folder):
        local = local.replace(".", self.mailboxes.server.separator)
        if local != "INBOX":
            new.create('"%s"' % local)
        there = set(self._ids(new, self._select(new, local)))
        count = self._select(old, name)
        folder.update(bytes=0, migrate_count=0, fail_count=0, skip_count=0, retry1count=0, retry2count=0,
                      remote_count=count)
        for number, identity in enumerate(self._ids(old, count), 1):
            if identity and identity in there:
                folder["skip_count"] += 1
                continue
            said = old.fetch(str(number), "(INTERNALDATE BODY.PEEK[])")[1]
            head, body = next(part for part in said if isinstance(part, tuple))
            date = imaplib.Internaldate2tuple(head) or time.localtime()
            done = new.append('"%s"' % local, None, imaplib.Time2Internaldate(time.mktime(date)), body)[0] == "OK"
            folder["migrate_count" if done else "fail_count"] += 1
            folder["bytes"] += len(body) if done else 0
            folder["next_uid"] = number + 1
