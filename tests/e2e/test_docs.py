"""What the documents name is there."""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def test_every_case_has_its_tests_and_they_exist():
    page = text("docs", "cases.md")
    numbers = [int(n) for n in re.findall(r"^\| (\d+) \|", page, re.M)]
    assert numbers == list(range(1, 87))
    named = re.findall(r"`(test_\w+\.(?:py|c))::(\w+)`", page)
    assert len(named) > 100
    for file, name in named:
        place = "e2e" if file.endswith(".py") else "unit"
        assert re.search(r"\b%s\(" % name, text("tests", place, file)), (file, name)
    without = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line) and "`" not in line]
    assert len(without) <= 10, without


def messages(*root):
    return subprocess.run([os.path.join(ROOT, "tests", "messages"), *root], capture_output=True, text=True, timeout=60)


def test_every_message_has_its_row_and_no_row_is_left_over():
    done = messages()
    assert done.returncode == 0, done.stdout


def test_a_message_without_a_row_and_a_row_without_a_message_are_found(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "common" / "x.c").write_text(r'''
	/* err_set(e, ERR_TEMP, "not said"); */
	err_set(e, ERR_TEMP, "disk %s: \"%.*s\" is full, %" PRId64 " bytes",
		name(a, b), n);
	log_warn(NULL, wet ? "it rains here" : "it is dry here");
	err_set(e, ERR_TEMP, "%s: %s", a, b);
''')
    page = tmp_path / "docs" / "errors.md"
    rows = ['| `disk …: "…" is full, … bytes` | a | b |', "| `it rains here`, ``it is … here`` | a | b |"]
    page.write_text("\n".join(rows))
    assert messages(tmp_path).returncode == 0, messages(tmp_path).stdout
    page.write_text(rows[1])
    done = messages(tmp_path)
    assert done.returncode == 1 and 'common/x.c:3: docs/errors.md has no row for: disk …: "…" is full' in done.stdout
    page.write_text("\n".join(rows + ["| `it snows` | a | b |"]))
    done = messages(tmp_path)
    assert done.returncode == 1 and "docs/errors.md:3: no program says this: it snows" in done.stdout
