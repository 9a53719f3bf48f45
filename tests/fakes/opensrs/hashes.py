"""Passwords as the API takes them: for Dovecot's passdb, and checked here for `authenticate`."""

import base64
import hashlib
import hmac
import re
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

# What Dovecot calls them. SHA-224 and SHA-384 it does not know: nobody logs in with these.
SCHEMES = {"MD5": "MD5-CRYPT", "BCRYPT": "BLF-CRYPT", "CRYPT": "CRYPT", "DES": "DES-CRYPT", "GCRYPT": "CRYPT",
           "SHA": "SHA", "SHA1": "SHA1", "SHA256": "SHA256", "SHA512": "SHA512", "SSHA": "SSHA", "SSHA1": "SSHA",
           "SSHA256": "SSHA256", "SSHA512": "SSHA512"}


def crypted(password, salt):
    """As the system's own passwords are: the salt says which kind."""
    return crypt.crypt(password, salt)


def parts(password):
    """(tag or None, rest)"""
    found = re.match(r"\{([^}]*)\}(.*)$", password, re.S)
    return found.groups() if found else (None, password)


def for_dovecot(password):
    tag, rest = parts(password)
    if tag is None:
        return "{PLAIN.b64}" + base64.b64encode(rest.encode()).decode()
    return "{%s}%s" % (SCHEMES.get(tag, "CRYPT"), rest)


def is_right(password, given):
    tag, rest = parts(password)
    if tag is None:
        return rest == given
    if tag in ("MD5", "BCRYPT", "CRYPT", "DES", "GCRYPT"):
        return hmac.compare_digest(crypted(given, rest) or "", rest)
    size = int(re.sub(r"\D", "", tag) or 1)
    algorithm = {1: "sha1"}.get(size, "sha%d" % size)
    raw = base64.b64decode(rest + "=" * (-len(rest) % 4))
    n = hashlib.new(algorithm).digest_size
    return hashlib.new(algorithm, given.encode() + raw[n:]).digest() == raw[:n]
