"""What the reports of all benches share: names chosen, numbers shown, tables put into a document."""

import os
import platform
import re
import subprocess

END = "<!-- end of results -->"


def chosen_of(all_, text):
    words = [w for w in (text or "").split(",") if w]
    return [x for x in all_ if not words or any(w.lower() in x.name.lower() for w in words)]


def version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout or "?"


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    return "%d × %s, Linux %s, OpenSSL %s" % (os.cpu_count(), model.group(1) if model else platform.machine(),
                                              platform.release().split("-")[0], version("libssl3"))


def show(value):
    return "–" if value is None else "%.3g" % value if value < 100 else "%.0f" % value


def write_into(path, mark, text):
    """Between the comment `mark` and the next END; what is written by hand around them stays."""
    begin = "<!-- %s -->" % mark
    with open(path, encoding="utf-8") as f:
        head, _, rest = f.read().partition(begin)
    _, _, tail = rest.partition(END)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("%s%s\n\n%s\n\n%s%s" % (head, begin, text, END, tail))
    os.rename(path + ".new", path)
