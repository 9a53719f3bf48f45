"""What an attribute may be: {name: check}. A check returns what is wrong with the value, or None."""

import re

from .errors import MALFORMED, UNKNOWN, ApiError

TAGS = set("MD5 BCRYPT CRYPT DES SHA SHA1 SHA224 SHA256 SHA384 SHA512 SSHA SSHA1 SSHA224 SSHA256 SSHA384 SSHA512 "
           "GCRYPT".split())
TIMEZONES = ["America/Toronto", "Europe/Berlin", "Europe/London", "UTC"]
LANGUAGES = ["de_DE", "en_US", "fr_FR"]
LOCAL = re.compile(r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{0,63}$")
DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")


def is_domain(text):
    return isinstance(text, str) and 3 <= len(text) <= 160 and bool(DOMAIN.match(text))


def is_address(text):
    if not isinstance(text, str) or text.count("@") != 1:
        return False
    local, domain = text.split("@")
    return bool(LOCAL.match(local)) and is_domain(domain)


def text(most):
    return lambda v: None if isinstance(v, str) and len(v) <= most else "text of at most %d characters" % most


def number(least, most):
    return lambda v: None if type(v) is int and least <= v <= most else "number from %d to %d" % (least, most)


def word(*words):
    return lambda v: None if v in words else "one of " + ", ".join(words)


def boolean(v):
    return None if isinstance(v, bool) else "boolean"


def some(most, item=lambda v: isinstance(v, str)):
    return lambda v: (None if isinstance(v, list) and len(v) <= most and all(map(item, v))
                      else "list of at most %d" % most)


def password(v):
    if not isinstance(v, str):
        return "text"
    tagged = re.match(r"\{([^}]*)\}(.*)$", v, re.S)
    if tagged and tagged.group(1) not in TAGS:
        return "unknown kind of hash"
    if tagged:
        return None if re.match(r"[\x21-\x7e]{1,150}$", tagged.group(2)) else "1 to 150 ASCII characters"
    return None if re.match(r"[!#-~]{1,54}$", v) else "1 to 54 characters without blank and quote"


service = word("enabled", "disabled", "suspended")
SERVICES = {"service_" + s: service for s in ("imap4", "pop3", "smtpin", "smtprelay", "smtprelay_webmail", "webmail")}

COMMON = dict(SERVICES, aliases=some(2000), quota=number(0, 1 << 50), smtp_sent_limit=number(0, 10000),
              spamlevel=word("Normal", "High", "Very High"), spamtag=text(30), spamheader=text(512),
              spamfolder=text(128), filterdelivery=word("quarantine", "passthrough"), language=word(*LANGUAGES),
              timezone=word(*TIMEZONES), workgroup=text(64), brand=text(64), notes_external=text(4096))
USER = dict(COMMON, aliases=some(2000, is_address), password=password, name=text(512),
            type=word("mailbox", "forward", "filter"),
            delivery_local=boolean, delivery_forward=boolean, delivery_autoresponder=boolean, delivery_filter=boolean,
            forward_recipients=some(1000, is_address), forward_option_restricted=boolean,
            forward_option_reply_to=text(320), forward_option_subject_prefix=text(128), autoresponder=text(4000),
            autoresponder_option_enddate=number(0, 1 << 40), autoresponder_option_interval=number(1, 1094),
            allow=some(1000), block=some(1000), reject_spam=boolean, title=text(60), phone=text(30), fax=text(30),
            sieve=text(1 << 16), max_pab_entries=number(0, 1 << 20), macsettings=text(4096))
DOMAIN_ATTRIBUTES = dict(COMMON, aliases=some(2000, is_domain), disabled=boolean,
                         default_password_encoding=word(*sorted(TAGS)), regen_passwords=boolean,
                         password_strength=word(None, "weak", "medium", "good", "strong"),
                         quota_maximum=number(0, 1 << 30), limit_users=number(0, 1 << 20),
                         limit_aliases=number(0, 1 << 20), filtermx=text(255), company=text(64))


def check(attributes, table, address=None):
    """Raises error 5 or 6 with a hint for each attribute."""
    if not isinstance(attributes, dict):
        raise ApiError(MALFORMED, "attributes must be an object")
    hints = {}
    for name, value in attributes.items():
        wrong = table[name](value) if name in table else "unknown attribute"
        if not wrong and name == "password" and address and not value.startswith("{"):
            local, domain = address.lower().split("@")
            if local in value.lower() or domain in value.lower():
                wrong = "must not contain the name"
        if wrong:
            hints[name] = wrong
    if hints:
        raise ApiError(UNKNOWN, "Attributes unknown or ill-formed: " + ", ".join(sorted(hints)), hints=hints)
    if attributes.get("delivery_filter") and any(attributes.get("delivery_" + d) for d in
                                                 ("local", "forward", "autoresponder")):
        raise ApiError(UNKNOWN, hints={"delivery_filter": "excludes the others"})
