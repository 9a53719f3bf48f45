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

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TREE = ("common", "config", "certs", "proxy", "sync", "admin", "tests", "build/plain", "Makefile")
BUILD_TIMEOUT_S, RUN_TIMEOUT_S = 300, 600


@dataclasses.dataclass
class Plant:
    what: str
    file: str
    changes: tuple      # (what is there, what it becomes), each once
    run: str            # arguments of a run that finds it


PLANTS = (
    Plant("what is not there at once counts as lost", "sync/probe.c",
          (("bool over = b->fence == BATCH_FENCE_OVER && from", "bool over = from"),), "--servers late"),
    Plant("sent first, written down afterwards", "sync/copy_new.c",
          (("\tif (intend(w, &f->b, f->rows, &f->intent, e) < 0) {",
            "\tif (sender_send(st->out, &f->b, e) < 0 || sender_wait(st->out, &f->b, e) < 0)\n\t\treturn -1;\n"
            "\tpass_step();\n\tif (intend(w, &f->b, f->rows, &f->intent, e) < 0) {"),), "--servers dovecot --parts steps"),
    Plant("an answer that never came means: not stored", "sync/copy_new.c",
          (("\tcase APPEND_UNKNOWN:\n\t\t*doubt = true;\n\t\treturn 0;",
            "\tcase APPEND_UNKNOWN:\n\t\treturn journal_msg_drop(j, row->id, e);"),), "--servers late"),
    Plant("a batch is closed with messages in doubt", "sync/copy_new.c",
          (("if (rc == 0 && !doubt)", "if (rc == 0)"),), "--servers shy --parts steps"),
    Plant("twins are one", "sync/probe.c",
          (("match[s[i++]] = (int)t[k++];", "match[s[i++]] = (int)t[k];"),), "--servers shy --parts steps"),
    Plant("APPENDUID is believed", "sync/probe.c",
          (("\tif (!has(b, APPEND_OK))\n\t\treturn;", "\tif (!has(b, APPEND_OK) || w->first_uid)\n\t\treturn;"),), "--servers liar --parts steps"),
    Plant("what did not arrive is not sent again", "sync/probe.c",
          (("return write_missing(w, row, e);", "return 0;"),), "--servers dovecot --parts steps"),
)


def plant(p, tree):
    path = os.path.join(tree, p.file)
    with open(path) as f:
        text = f.read()
    for good, bad in p.changes:
        if text.count(good) != 1:
            raise ValueError("%s: %r is there %d times: the plant must follow the sources" % (
                p.file, good, text.count(good)))
        text = text.replace(good, bad)
    with open(path, "w") as f:
        f.write(text)


def is_found(p, folder, seed):
    tree = os.path.join(folder, "tree")
    for name in TREE:
        source, target = os.path.join(ROOT, name), os.path.join(tree, name)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    plant(p, tree)
    subprocess.run(["make", "-s", "build/plain/mailferry-sync"], cwd=tree, check=True, timeout=BUILD_TIMEOUT_S,
                   stdout=subprocess.DEVNULL)
    done = subprocess.run([sys.executable, os.path.join(HERE, "chaos_sync.py"), "--build",
                           os.path.join(tree, "build/plain"), "--seed", str(seed), "--first", *p.run.split()],
                          capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    said = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    shutil.rmtree(tree)
    return done.returncode == 1 and said and said[0]


def self_test(seed):
    missed = 0
    for p in PLANTS:
        with tempfile.TemporaryDirectory(prefix="mailferry-plant-") as folder:
            found = is_found(p, folder, seed)
        missed += not found
        print("%-48s %s" % (p.what, "found: " + found[7:160] if found else "NOT FOUND"), flush=True)
    print("%d planted, %d not found" % (len(PLANTS), missed))
    return 1 if missed else 0
