"""Manual pages and completion: made of the program's tables, good enough for their readers."""

import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(os.environ.get("MAILFERRY_BUILD", os.path.join(ROOT, "build", "plain")), "mailferry")
STATES = ["pending", "provisioned", "syncing", "ready", "freezing", "finalizing", "trailing", "done", "returning"]


def run(*command, **kw):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, **kw)


def mailferry(*args):
    return run(PROGRAM, *args)


@pytest.mark.parametrize("section,says", [
    ("1", ["mailferry cutover USER", "mailferry check dns", "--config FILE", "3 the engine is not reachable"]),
    ("5", ['backend "NAME" { }', "budget_s = 12", "Needs a restart.", "${NAME}"]),
    ("7", ["Logins wait.", "Logins go to new.", "May become: done, returning."]),
])
def test_pages_are_clean_and_say_what_the_tables_say(section, says):
    page = mailferry("man", section)
    assert page.returncode == 0 and not page.stderr
    shown = run("groff", "-man", "-ww", "-Tutf8", "-Kutf8", "-P-cbou", "-rLL=110n", input=page.stdout)
    assert (shown.returncode, shown.stderr) == (0, "")
    text = " ".join(shown.stdout.split())
    for words in says:
        assert words in text


def test_every_setting_and_every_state_has_its_item():
    items = re.findall(r'^\.B "(\w+)', mailferry("man", "5").stdout, re.M)
    settings = re.findall(r"^\t(?:# )?(\w+) = ", mailferry("sample-config").stdout, re.M)
    assert len(items) > 100 and set(items) == set(settings)
    assert re.findall(r'^\.B "(\w+)', mailferry("man", "7").stdout, re.M) == STATES


def test_no_other_page():
    done = mailferry("man", "3")
    assert done.returncode == 2 and "choose 1, 5 or 7" in done.stderr


COMPLETIONS = [
    (["cut"], ["cutover"]),
    (["s"], ["status", "sync", "sessions", "store", "strangers", "sample-config"]),
    (["check", ""], ["config", "user", "backends", "dns"]),
    (["store", "r"], ["rebuild"]),
    (["--json", "--config", "x", "pau"], ["pause"]),
    (["users", "--state", "f"], ["freezing", "finalizing"]),
    (["users", "--state", ""], STATES),
    (["sessions", "--side", ""], ["old", "new"]),
    (["sessions", "--state", "R"], ["RELAY"]),
    (["cutover", "--wave", "1", "--f"], ["--first-hour"]),
    (["cutover", "--wave", ""], []),
    (["status", "--w"], ["--watch"]),
    (["log-level", ""], ["error", "warn", "info", "debug"]),
    (["completion", "z"], ["zsh"]),
    (["--j"], ["--json"]),
]


@pytest.mark.parametrize("words,offered", COMPLETIONS, ids=[" ".join(w) for w, _ in COMPLETIONS])
def test_bash_completes(words, offered):
    script = mailferry("completion", "bash").stdout + """
COMP_WORDS=(mailferry "$@"); COMP_CWORD=$#
_mailferry; printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = run("bash", "--norc", "-c", script, "bash", *words)
    assert not done.stderr
    assert sorted(done.stdout.split()) == sorted(offered)


def test_bash_completes_files(tmp_path):
    (tmp_path / "users.csv").touch()
    script = mailferry("completion", "bash").stdout + """
COMP_WORDS=(mailferry import us); COMP_CWORD=2
_mailferry; printf '%s\\n' "${COMPREPLY[@]}"
"""
    assert run("bash", "--norc", "-c", script, cwd=tmp_path).stdout == "users.csv\n"


@pytest.mark.parametrize("verb,own", [("drop", "--force --wait"), ("status", "--watch"), ("run", "--new-store"),
                                      ("trace", "--seconds --bytes --stop")])
def test_each_verb_has_its_own_options(verb, own):
    script = mailferry("completion", "bash").stdout + '_mailferry_words - "$@"\n'
    offered = run("bash", "--norc", "-c", script, "bash", verb).stdout.split()
    assert sorted(offered) == sorted(own.split() + ["--config", "--json", "--yes", "--help"])


@pytest.mark.full
def test_zsh_completes():
    script = """
compdef() { }
compadd() { shift; print -l -- "$@" }
words=(mailferry users --state f) CURRENT=4
""" + mailferry("completion", "zsh").stdout + "_mailferry\n"
    done = run("zsh", "-f", "-c", script)
    assert (done.stdout.split(), done.stderr) == (STATES, "")
