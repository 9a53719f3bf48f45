"""The page's files as the engine sends them, without a browser (test_web.py has one)."""

import os
import re

from lib.httpapi import Api, token
from lib.mailferry import ROOT

WEB = os.path.join(ROOT, "admin", "web")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}


def test_every_file_is_served_to_anybody(own_ferry):
    f = own_ferry({"api": {"listen": "127.0.0.1:0", "tls": False, "tokens": "tokens"},
                   "run": {"nodes": 1}})
    api = Api(f, keep=True)     # no token: there is none to have before the page is there
    for name in sorted(os.listdir(WEB)):
        status, headers, said = api.ask("/" if name == "index.html" else "/" + name)
        with open(os.path.join(WEB, name), "rb") as source:
            assert (status, said) == (200, source.read()), name
        assert headers["Content-Type"] == TYPES[os.path.splitext(name)[1]], name
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-cache"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'self'" in policy
    assert [api.status(p) for p in ("/web.c", "/../web.c", "/app.mjs", "/v1/status")] == [404, 404, 404, 401]
    who = Api(f, bearer=token(f, "viktor")).ask("/v1")[2]
    assert (who["who"], who["role"]) == ("viktor", "view")
    assert Api(f, bearer=token(f, "olga", "operate")).ask("/v1")[2]["role"] == "operate"


def test_it_needs_nothing_from_elsewhere_and_parses_no_markup():
    """What the policy forbids, and what it cannot: text that becomes HTML."""
    for name in sorted(os.listdir(WEB)):
        with open(os.path.join(WEB, name)) as source:
            text = source.read()
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, (name, addresses)
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|DOMParser|\sstyle=|\son\w+=", text)
        assert not found, (name, found)
