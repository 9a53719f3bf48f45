"""
OpenSRS's Mail API for tests: HTTPS, its methods, its errors, its faults. Its mailboxes are those of a real Dovecot.

    api = OpenSRS(ca, Mailboxes(new)); api.start(); api.url      "https://127.0.0.1:PORT/api"

What the real one does is known only in part. Where it is not, this one is strict, or has a switch:

    api.order           in which order things are checked
    api.text_counters   migration counters: "mixed" (as seen), "numbers", "strings"
    api.pull_missing    migration_add for an address that is not there: "call" fails, or only the "element"
    api.messages_max    what get_user says about a quota of messages: 0, None or a number
"""

from .errors import ApiError
from .mailboxes import Mailboxes, NoMailboxes
from .server import Fault, OpenSRS

__all__ = ["ApiError", "Fault", "Mailboxes", "NoMailboxes", "OpenSRS"]
