"""What the documents name is there."""

import os
import re

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
