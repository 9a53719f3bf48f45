"""
What a life may show without a violation: what is documented, each with its sentence in docs/.
"""

import dataclasses
import os
import typing

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs")


class Over(Exception):
    """From here on nothing is promised of this life."""


@dataclasses.dataclass
class Limit:
    name: str
    kinds: tuple                # of violations that it excuses
    page: str
    sentence: str
    met: typing.Callable        # (life, bytes of the mail, or None)


LIMITS = (
    Limit("stranger", ("revived", "doubled", "unequal"), "cases.md",
          "What its user deletes or moves while the other side does not show it or gives it other UIDs may stay in its place there, as a "
          "stranger: nobody removes what no row stands for.",
          lambda life, data: data in life.strange),
    Limit("late", ("unequal",), "rollback.md", "mail that arrived on old after the flip stays there once.",
          lambda life, data: data in life.waiting),
)


def find(life, kind, data):
    return next((l for l in LIMITS if kind in l.kinds and l.met(life, data)), None)


def page(name):
    with open(os.path.join(DOCS, name)) as f:
        return " ".join(f.read().split())


def undocumented():
    """The sentences that are not there."""
    return ["docs/%s does not say: %s" % (l.page, l.sentence) for l in LIMITS if l.sentence not in page(l.page)]
