"""
Bugs that are planted to see that chaos finds them. Each is a change of the sources, made in a copy of the tree, which
is built and given to a short run: that run must fail. A place that is not there any more is an error: then the plant
has to follow the sources.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TREE = ("common", "config", "certs", "proxy", "sync", "admin", "tests", "build/plain", "Makefile")
BUILD_TIMEOUT_S, RUN_TIMEOUT_S = 300, 600
WITHIN_S = 300      # runs with the next seeds follow, as long as they end by then
FOUND = ("FAILED ", "VIOLATION ")


@dataclasses.dataclass
class Plant:
    what: str
    changes: tuple      # (file, what is there, what it becomes), each once
    run: str            # arguments of a run that finds it


SYNC = (
    Plant("what is not there at once counts as lost", (
        ("sync/probe.c", "bool over = b->fence == BATCH_FENCE_OVER && from", "bool over = from"),), "--servers late"),
    Plant("sent first, written down afterwards", (
        ("sync/copy_new.c", "\tif (intend(w, &f->b, f->rows, &f->intent, e) < 0) {",
         "\tif (sender_send(st->out, &f->b, e) < 0 || sender_wait(st->out, &f->b, e) < 0)\n\t\treturn -1;\n"
         "\tpass_step();\n\tif (intend(w, &f->b, f->rows, &f->intent, e) < 0) {"),), "--servers dovecot --parts steps"),
    Plant("an answer that never came means: not stored", (
        ("sync/copy_new.c", "\tcase APPEND_UNKNOWN:\n\t\t*doubt = true;\n\t\treturn 0;",
         "\tcase APPEND_UNKNOWN:\n\t\treturn journal_msg_drop(j, row->id, e);"),), "--servers late"),
    Plant("a batch is closed with messages in doubt", (
        ("sync/copy_new.c", "if (rc == 0 && !doubt)", "if (rc == 0)"),), "--servers shy --parts steps"),
    Plant("twins are one", (
        ("sync/probe.c", "match[s[i++]] = (int)t[k++];", "match[s[i++]] = (int)t[k];"),), "--servers shy --parts steps"),
    Plant("APPENDUID is believed", (
        ("sync/probe.c", "\tif (!has(b, APPEND_OK))\n\t\treturn;",
         "\tif (!has(b, APPEND_OK) || w->first_uid)\n\t\treturn;"),), "--servers liar --parts steps"),
    Plant("fillers are sent before the journal knows", (
        ("sync/uids.c", "\tw->uids.now.filler = w->first_uid;\n\tif (note(w, e) < 0)",
         "\tw->uids.now.filler = w->first_uid;\n\tif (0)"),), "--servers dovecot --parts steps"),
    Plant("what did not arrive is not sent again", (
        ("sync/probe.c", "return write_missing(w, row, e);", "return 0;"),), "--servers dovecot --parts steps"),
    Plant("what was sent again is not known when it comes back", (
        ("sync/journal_lost.c", "\tif (p.entry) {", "\tif (false && p.entry) {"),), "--servers lives"),
)

CHAOS = (
    Plant("who is logging in is not looked at again", (
        ("proxy/session_login.c", "\tif (s->change != r->change) { /* moved while we were logging in */",
         "\tif (false) {"),
        ("proxy/session_hold.c", "\tcase SESSION_DIAL:\n\tcase SESSION_LOGIN:\n\tcase SESSION_RELAY:\n"
         "\tcase SESSION_DRAIN:\n\t\treturn false;",
         "\tcase SESSION_RELAY:\n\tcase SESSION_DRAIN:\n\t\treturn false;\n\tcase SESSION_DIAL:\n"
         "\tcase SESSION_LOGIN:\n\t\treturn true;"),
        ("proxy/session_hold.c", "\t\ts->change = s->route->change;\n\t\tsession_park(s);\n\t\tbreak;", "\t\tbreak;"),
        ("proxy/session_hold.c", "\t\tif (side != s->side)\n\t\t\tsession_ask_route(s);\n\t\tbreak;", "\t\tbreak;"),
    ), "--seconds 90 --mishaps late --mishap-pause 0.3"),
    Plant("the last delta is left out", (
        ("sync/cutover.c", "\tc->o.shop->go(c->worker);",
         "\tc->step = STEP_CLOSING;\n\tc->o.shop->stop(c->worker);\n\tadvance(c);"),), "--seconds 60 --mishaps reset"),
    Plant("quiet before the tagged answer", (
        ("proxy/session_hold.c", "\t\tif (is_settled(s)) {", "\t\tif (true) {"),), "--seconds 60 --mishaps reset"),
    Plant("QUIET is resumed by its timer", (
        ("proxy/session.c", "\tcase SESSION_QUIET: /* never resumed by a timer */\n"
         "\t\tsession_close_with_bye(s, s->proxy->settings->cutover.bye,\n\t\t\t\t       \"no verdict in time\");\n"
         "\t\tbreak;",
         "\tcase SESSION_QUIET:\n\t\tsession_enter(s, SESSION_RELAY);\n\t\tstream_resume(s->client);\n"
         "\t\tstream_resume(s->backend);\n\t\tstream_poke(s->client);\n\t\tbreak;"),),
        "--seconds 180 --mishaps stop_quiet_node --mishap-pause 1"),
    Plant("a flip after hold_until", (
        ("common/store_user.c", " && now >= u->hold_until)", " && now >= u->hold_until + 60000)"),
        ("sync/cutover.c", "< c->hold_until - CUTOVER_MARGIN_MS)", "< c->hold_until + 60000)"),
        ("proxy/route.c", "#define UNDO_GRACE_MS 100 ", "#define UNDO_GRACE_MS 60000 "),
    ), "--seconds 90 --mishaps stall,stop_worker"),
    Plant("trailing brings back what was deleted", (
        ("sync/copy.c", "\tsides[w->pass->from] = true;\n\tif (exceptions_retry(w, e) < 0 || copy_gather(w, sides, e) < 0)",
         "\tw->told[SIDE_OLD] = w->told[SIDE_NEW] = false;\n\tsides[w->pass->from] = sides[w->pass->to] = true;\n"
         "\tif (exceptions_retry(w, e) < 0 || copy_gather(w, sides, e) < 0 || copy_drop_lost(w, e) < 0)"),),
        "--seconds 120 --mishaps reset --mishap-pause 8 --move-pause 2 --pace 0.08"),
    Plant("a map of unique ids that is one short", (
        ("sync/uidl.c", "\tfor (size_t i = 0; i < n; i++) {\n\t\tbool again",
         "\tfor (size_t i = 0; i + 1 < n; i++) {\n\t\tbool again"),), "--seconds 60 --mishaps reset"),
    Plant("a node whose lease is over goes on", (
        ("proxy/proxy.c", "return clock_mono_ms() < p->fence_ms;", "return p->fence_ms > 0;"),),
        "--seconds 240 --mishaps stop_node_long --mishap-pause 2"),
    Plant("a journal of before is believed", (
        ("sync/depot_bring.c", "\tif (t->doubt && depot_doubt(", "\tif (false && depot_doubt("),),
        "--hosts 2 --seconds 180 --mishaps kill_host,sleep_stand_by --mishap-pause 1"),
    Plant("a worker whose engine's lease is over goes on", (
        ("sync/pace.c", "\tint64_t until = word ? atomic_load(&word->lease_until) : 0;", "\tint64_t until = 0;"),),
        "--hosts 2 --seconds 240 --mishaps sleep_stand_by,sleep_engine --mishap-pause 0.5"),
)
SUITES = {
    "chaos_sync": (SYNC, ["build/plain/mailferry-sync"], ["--first"]),
    "chaos": (CHAOS, ["all"], ["--users", "4", "--any-count", "--keep", ""]),
}


def plant(p, tree):
    """Into a copy of the sources."""
    for file, good, bad in p.changes:
        path = os.path.join(tree, file)
        with open(path) as f:
            text = f.read()
        if text.count(good) != 1:
            raise ValueError("%s: %r is there %d times: the plant must follow the sources" % (
                file, good, text.count(good)))
        with open(path, "w") as f:
            f.write(text.replace(good, bad))


def run(p, script, more, build, seed):
    """The first line that says that it is found, or None."""
    done = subprocess.run([sys.executable, os.path.join(HERE, script + ".py"), "--build", build, "--seed", str(seed),
                           *more, *p.run.split()], capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    said = [line for line in done.stdout.splitlines() if line.startswith(FOUND)]
    return said[0] if done.returncode == 1 and said else None


def is_found(p, script, targets, more, folder, seed):
    """(the first line that says so, or None; seconds of the runs)"""
    tree = os.path.join(folder, "tree")
    for name in TREE:
        source, target = os.path.join(ROOT, name), os.path.join(tree, name)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    plant(p, tree)
    subprocess.run(["make", "-s", *targets], cwd=tree, check=True, timeout=BUILD_TIMEOUT_S, stdout=subprocess.DEVNULL)
    began, took, runs, found = time.monotonic(), 0, 0, None
    while not found and (runs == 0 or took / runs * (runs + 1) <= WITHIN_S):
        found = run(p, script, more, os.path.join(tree, "build/plain"), seed + runs)
        took, runs = time.monotonic() - began, runs + 1
    shutil.rmtree(tree)
    return found, took


def self_test(script, seed, only=None):
    """only: words of the plants to try."""
    plants, targets, more = SUITES[script]
    chosen, missed = [p for p in plants if not only or only in p.what], 0
    for p in chosen:
        with tempfile.TemporaryDirectory(prefix="mailferry-plant-") as folder:
            found, took = is_found(p, script, targets, more, folder, seed)
        missed += not found
        print("%-42s %4.0f s  %s" % (p.what, took, "found: " + found.split(" ", 1)[1][:160] if found else "NOT FOUND"),
              flush=True)
    print("%d planted, %d not found" % (len(chosen), missed))
    return 1 if missed else 0
