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


def vanished_in_doubt(life, data):
    return any("in doubt" in how and how & {"lose", "hide"} for how in life.shaken.values())


LIMITS = (
    Limit("stranger", ("revived", "doubled", "unequal"), "cases.md",
          "What its user deletes or moves while the other side does not show it or gives it other UIDs may stay in its place there, as a "
          "stranger: nobody removes what no row stands for.",
          lambda life, data: data in life.strange),
    Limit("in doubt", ("unclean",), "cases.md",
          "What a worker had sent when it died, and a server shows only after it was sent again, is there twice: it is told as second "
          "copies, and holds up the cutover.",
          vanished_in_doubt),
    Limit("late", ("unequal",), "rollback.md", "mail that arrived on old after the flip stays there once.",
          lambda life, data: data in life.waiting),
    Limit("stray", ("unequal", "doubled", "revived"), "rollback.md",
          "Where such a client had moved it on old, it stands there, too. Withdrawn after a worker died on the first pass back, it may come "
          "to new as well.",
          lambda life, data: data in life.twins or data in life.strayed and life.state != "trailing"),
)


def find(life, kind, data):
    return next((l for l in LIMITS if kind in l.kinds and l.met(life, data)), None)


def page(name):
    with open(os.path.join(DOCS, name)) as f:
        return " ".join(f.read().split())


def undocumented():
    """The sentences that are not there."""
    return ["docs/%s does not say: %s" % (l.page, l.sentence) for l in LIMITS if l.sentence not in page(l.page)]
