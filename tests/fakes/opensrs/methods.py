"""What the API's methods do. `caller` is an administrator, or a user who acts for himself."""

import fnmatch
import secrets
import threading

from . import attributes, hashes
from .errors import ALIAS, EXISTS, FOREIGN, FORBIDDEN, MALFORMED, MISSING, UNKNOWN, ApiError
from .pull import Pull

PAGE = 10       # of a search without a limit: small, so that who does not page is found out
PAGE_MAX = 1000
RESTORE_S = 30 * 86400
QUOTA = 5 << 30
SESSION_S = 10800
CHANGERS = ("company", "domain")
USER_DEFAULTS = {"type": "mailbox", "delivery_local": True, "quota": QUOTA, "aliases": [], "name": "",
                 "language": "en_US", "timezone": "America/Toronto",
                 **{name: "enabled" for name in attributes.SERVICES}}


class Caller:
    def __init__(self, user, role, company, domain=None):
        self.user, self.role, self.company, self.domain = user, role, company, domain


class Methods(Pull):
    """
    admins   [(user, password, role, company, domain or None)]
    order    existence, permission and attributes are checked in this order
    """

    ADMINS = [("admin@shop.adm", "admin-secret-7351", "company", "shop", None),
              ("helper@shop.adm", "helper-secret-7351", "domain", "shop", "ex.test"),
              ("viewer@shop.adm", "viewer-secret-7351", "company_ro", "shop", None),
              ("minter@shop.adm", "minter-secret-7351", "company_token_only", "shop", None),
              ("admin@rival.adm", "rival-secret-7351", "company", "rival", None)]

    def __init__(self, mailboxes):
        super().__init__()
        self.mailboxes, self.lock = mailboxes, threading.RLock()
        self.forget()

    def forget(self):
        self.order, self.messages_max = ("existence", "permission", "attributes"), 0
        self.tokens_refused = False
        self.admins = list(self.ADMINS)
        self.domains, self.users, self.deleted, self.tokens = {}, {}, [], []
        self.ahead_s, self._next_id = 0, 1000
        self.forget_jobs()
        self.write_mailboxes()

    # ---- who is asking

    def login(self, user, password, token):
        for name, secret, role, company, domain in self.admins:
            if name == user and (password == secret or self._token(user, token, api=True)):
                return Caller(user, role, company, domain)
        account = self.users.get(self._resolve(user))
        if account and ((password is not None and hashes.is_right(account["password"], password))
                        or self._token(user, token, api=True)):
            return Caller(self._resolve(user), "mail", account["company"])
        return None

    def _token(self, user, token, api):
        return token is not None and any(
            t["token"] == token and user in t["names"] and t["until"] > self.now() and t["api"] == api
            for t in self.tokens)

    def add_token(self, user, token, seconds, api=False, once=False):
        token = token or secrets.token_hex(20)
        aliases = self.users[user]["attributes"]["aliases"] if user in self.users else []
        self.tokens.append({"token": token, "user": user, "names": [user, *aliases], "until": self.now() + seconds,
                            "api": api, "once": once})
        self.write_mailboxes()
        return token

    def expire_tokens(self):
        for t in self.tokens:
            t["until"] = 0
        self.write_mailboxes()

    def refuse_tokens(self):
        """Mail services know none of them from now on: of those that exist and of those to come."""
        self.tokens_refused = True
        self.write_mailboxes()

    def write_mailboxes(self):
        rows = [(name, u["password"], u["attributes"]["aliases"], u["attributes"]["service_imap4"] == "enabled")
                for name, u in self.users.items()]
        tokens = [] if self.tokens_refused else [t for t in self.tokens if not t["api"]]
        self.mailboxes.write(rows, tokens, self.ahead_s)

    # ---- what is asked about

    def _resolve(self, name):
        for address, u in self.users.items():
            if name in u["attributes"]["aliases"]:
                return address
        return name

    @staticmethod
    def _text(body, key):
        if not isinstance(body.get(key), str) or not body[key]:
            raise ApiError(MALFORMED, "%s is missing" % key)
        return body[key].lower()

    @staticmethod
    def _flag(body, key):
        value = body.get(key, False)
        if value not in (True, False, 0, 1):
            raise ApiError(MALFORMED, "%s must be boolean" % key)
        return bool(value)

    def _may(self, caller, domain, change=False, roles=CHANGERS):
        known = self.domains.get(domain)
        if (known and known["company"] != caller.company) or caller.domain not in (None, domain):
            raise ApiError(FOREIGN)
        if change and caller.role not in roles:
            raise ApiError(FOREIGN)

    def _checked(self, **checks):
        for name in self.order:
            checks.get(name, lambda: None)()

    def _user(self, caller, body, change=False, roles=CHANGERS, key="user"):
        """(address, account) of one that is there; as the caller may see or change it."""
        name = self._text(body, key)
        if not attributes.is_address(name):
            raise ApiError(MALFORMED, "no address: %s" % name)
        owner = self._resolve(name)

        def exists():
            if name.split("@")[1] in self.domains and owner not in self.users:
                self._may(caller, name.split("@")[1])
                raise ApiError(MISSING)

        def permitted():
            if caller.role == "mail" and caller.user == owner and not change:
                return
            if name.split("@")[1] not in self.domains:
                raise ApiError(FOREIGN)
            self._may(caller, owner.split("@")[1], change, roles)

        self._checked(existence=exists, permission=permitted)
        if change and owner != name:
            raise ApiError(ALIAS)
        return owner, self.users[owner]

    # ---- authentication

    def do_authenticate(self, caller, body):
        if not self._flag(body, "generate_session_token"):
            return {}
        seconds = body.get("session_token_duration", SESSION_S)
        if type(seconds) is not int or not 1 <= seconds <= 86400:
            raise ApiError(MALFORMED, "session_token_duration must be 1 to 86400")
        return {"session_token": self.add_token(caller.user, body.get("token"), seconds, api=True),
                "session_token_duration": seconds}

    def do_echo(self, caller, body):
        return {k: v for k, v in body.items() if k != "credentials"}

    def do_generate_token(self, caller, body):
        self._text(body, "reason")
        name, _ = self._user(caller, body, True, (*CHANGERS, "company_token_only"))
        kind, hours = body.get("type", "session"), body.get("duration", 24)
        if kind not in ("session", "sso", "oma") or type(hours) is not int or not 1 <= hours <= 744:
            raise ApiError(MALFORMED, "type or duration")
        if body.get("oma") and caller.role != "company":
            raise ApiError(FORBIDDEN)
        token = self.add_token(name, body.get("token"), hours * 3600, api=kind == "oma", once=kind == "sso")
        return {"token": token, "duration": hours}

    # ---- company and bulletins

    def do_get_company(self, caller, body):
        if body.get("company", caller.company) != caller.company:
            raise ApiError(FOREIGN)
        return {"attributes": {"company": caller.company, "quota": 5120}, "metadata": {"options": {}}}

    def do_get_company_bulletin(self, caller, body):
        if body.get("company", caller.company) != caller.company:
            raise ApiError(FOREIGN)
        return {"bulletin": "", "type": body.get("type", "auto")}

    # ---- domains

    def do_get_domain(self, caller, body):
        name = self._text(body, "domain")
        options = {"timezone": attributes.TIMEZONES, "language": attributes.LANGUAGES}
        if name not in self.domains:
            raise ApiError(MISSING, settable_attribute=sorted(attributes.DOMAIN_ATTRIBUTES),
                           metadata={"options": options, "defaults": {}})
        self._may(caller, name)
        d = self.domains[name]
        return {"attributes": {"account": name, **d["attributes"]},
                "settable_attribute": sorted(attributes.DOMAIN_ATTRIBUTES),
                "metadata": {"options": options, "createtime": d["createtime"],
                             "inherit": {"password_strength": "weak"}}}

    def do_change_domain(self, caller, body):
        name, only = self._text(body, "domain"), self._flag(body, "create_only")
        if not attributes.is_domain(name):
            raise ApiError(MALFORMED, "no domain: %s" % name)
        roles = CHANGERS if name in self.domains else ("company",)
        self._checked(permission=lambda: self._may(caller, name, True, roles),
                      attributes=lambda: attributes.check(body.get("attributes"), attributes.DOMAIN_ATTRIBUTES))
        if only and name in self.domains:
            raise ApiError(EXISTS)
        known = self.domains.setdefault(name, {"company": caller.company, "createtime": int(self.now()),
                                               "attributes": {"aliases": [], "quota": QUOTA}})
        known["attributes"].update(body["attributes"])

    def do_delete_domain(self, caller, body):
        name = self._text(body, "domain")
        if name not in self.domains:
            raise ApiError(MISSING)
        self._may(caller, name, True, ("company",))
        if any(u.endswith("@" + name) for u in self.users):
            raise ApiError(EXISTS, "Domain has users")
        del self.domains[name]

    def do_search_domains(self, caller, body):
        match = (body.get("criteria") or {}).get("match", "*")
        rows = [{"domain": n, "type": "domain", "users": sum(u.endswith("@" + n) for u in self.users)}
                for n, d in sorted(self.domains.items())
                if d["company"] == caller.company and caller.domain in (None, n) and fnmatch.fnmatch(n, match)]
        return self._page(body, rows, "domains")

    @staticmethod
    def _page(body, rows, key):
        window = body.get("range") or {}
        first, limit = window.get("first", 0), min(window.get("limit", PAGE), PAGE_MAX)
        page = rows[first:first + limit]
        return {"count": len(page), "total_count": len(rows), key: page}

    # ---- users

    def do_get_user(self, caller, body):
        name = self._text(body, "user")
        metadata = {"options": {"timezone": attributes.TIMEZONES, "language": attributes.LANGUAGES}}
        try:
            name, u = self._user(caller, body)
        except ApiError as e:
            if e.number == MISSING:
                e.extra = {"settable_attributes": sorted(attributes.USER), "metadata": {**metadata, "defaults": {}}}
            raise
        used, messages = self.mailboxes.usage(name)
        shown = {k: v for k, v in u["attributes"].items() if k != "type"}
        return {"type": u["attributes"]["type"], "settable_attributes": sorted(attributes.USER),
                "attributes": {"account": name, **shown},
                "metadata": {"quota": {"bytes_max": u["attributes"]["quota"], "bytes_used": used,
                                       "messages_max": self.messages_max, "messages_used": messages},
                             "folders": self.mailboxes.folders(name), "special_folders": {"spam": "Spam"},
                             "status": u["status"], "createtime": u["createtime"],
                             "last_login": {"imap4": 0, "pop3": 0, "webmail": 0}, "2fa_enabled": False,
                             "app_passwords": [], "roles": {}, **metadata}}

    def do_change_user(self, caller, body):
        name, only = self._text(body, "user"), self._flag(body, "create_only")
        if not attributes.is_address(name):
            raise ApiError(MALFORMED, "no address: %s" % name)
        domain, wanted = name.split("@")[1], body.get("attributes")

        def exists():
            if domain not in self.domains:
                raise ApiError(MISSING, "Domain does not exist")

        self._checked(existence=exists, permission=lambda: self._may(caller, domain, True),
                      attributes=lambda: attributes.check(wanted, attributes.USER, name))
        if name not in self.users and self._resolve(name) != name:
            raise ApiError(EXISTS if only else ALIAS)
        if name in self.users and only:
            raise ApiError(EXISTS)
        self._check_aliases(name, wanted.get("aliases", []))
        if name not in self.users:
            self._create(name, wanted)
        u = self.users[name]
        u["password"] = wanted.get("password", u["password"])
        u["attributes"].update({k: v for k, v in wanted.items() if k != "password"})
        self.write_mailboxes()

    def _check_aliases(self, name, aliases):
        for a in aliases:
            if a.split("@")[1] not in self.domains:
                raise ApiError(UNKNOWN, hints={"aliases": "no such domain: %s" % a})
            if a in self.users or self._resolve(a) not in (a, name):
                raise ApiError(EXISTS, "Alias exists: %s" % a)

    def _create(self, name, wanted):
        if "password" not in wanted:
            raise ApiError(MALFORMED, "password is missing")
        self._next_id += 1
        self.users[name] = {"company": self.domains[name.split("@")[1]]["company"], "password": wanted["password"],
                            "attributes": {**USER_DEFAULTS}, "createtime": int(self.now()), "status": "active",
                            "id": self._next_id}

    def do_search_users(self, caller, body):
        criteria = body.get("criteria")
        if not isinstance(criteria, dict):
            raise ApiError(MALFORMED, "criteria are missing")
        domain = self._text(criteria, "domain")
        if domain not in self.domains:
            raise ApiError(MISSING)
        self._may(caller, domain)
        everybody = ([(d["name"], d) for d in self.deleted if d["deleted"] + RESTORE_S > self.now()]
                     if criteria.get("deleted") else sorted(self.users.items()))
        kinds, status = criteria.get("type"), criteria.get("status")
        fields = body.get("fields", ["workgroup", "status"])
        rows = [self._row(n, u, fields) for n, u in everybody if n.endswith("@" + domain)
                and (not kinds or u["attributes"]["type"] in kinds) and (not status or u["status"] in status)
                and fnmatch.fnmatch(n, criteria.get("match", "*"))]
        return self._page(body, rows, "users")

    @staticmethod
    def _row(name, u, fields):
        every = {"type": u["attributes"]["type"], "workgroup": u["attributes"].get("workgroup", "staff"),
                 "status": u["status"], "createtime": u["createtime"], "lastlogin": 0,
                 "forward_recepient": u["attributes"].get("forward_recipients", [])}
        return {"user": name, "id": u["id"], **{f: every[f] for f in every if f in (*fields, "workgroup")}}

    def do_delete_user(self, caller, body):
        name, u = self._user(caller, body, True)
        self.deleted.append({**self.users.pop(name), "name": name, "status": "deleted", "deleted": self.now()})
        self.write_mailboxes()

    def do_restore_user(self, caller, body):
        name = self._text(body, "user")
        self._may(caller, name.split("@")[-1], True)
        for d in self.deleted:
            if (d["name"] == name and body.get("id", d["id"]) in (d["id"], str(d["id"]))
                    and d["deleted"] + RESTORE_S > self.now()):
                new_name = body.get("new_name", name)
                if new_name in self.users:
                    raise ApiError(EXISTS)
                self.deleted.remove(d)
                self.users[new_name] = {**{k: v for k, v in d.items() if k not in ("name", "deleted")},
                                        "status": "active"}
                self.write_mailboxes()
                return
        raise ApiError(MISSING)

    def do_rename_user(self, caller, body):
        name, u = self._user(caller, body, True)
        new_name = self._text(body, "new_name")
        if not attributes.is_address(new_name) or new_name.split("@")[1] != name.split("@")[1]:
            raise ApiError(UNKNOWN, hints={"new_name": "must be in the same domain"})
        if self._resolve(new_name) in self.users:
            raise ApiError(EXISTS)
        self.users[new_name] = self.users.pop(name)
        self.deleted = [d for d in self.deleted if d["name"] != name]
        self.write_mailboxes()

    def do_logout_user(self, caller, body):
        self.mailboxes.logout(self._user(caller, body, True)[0])

    def do_set_role(self, caller, body):
        _, u = self._user(caller, body, True)
        role = self._text(body, "role")
        if role not in ("company", "company_mail", "company_ro", "company_token_only", "company_view", "domain", "mail",
                        "workgroup"):
            raise ApiError(UNKNOWN, hints={"role": "unknown"})
        u["role"] = (role, body.get("object"))

    def do_get_user_folders(self, caller, body):
        return {"folders": self.mailboxes.folders(self._user(caller, body)[0]), "deleted_folders": []}

    def do_get_sieve(self, caller, body):
        _, u = self._user(caller, body)
        return {"active_rule": "managesieve", "rules": {"managesieve": u.get("sieve", "")}}

    def do_set_sieve(self, caller, body):
        _, u = self._user(caller, body, True)
        if not isinstance(body.get("data"), str):
            raise ApiError(MALFORMED, "data is missing")
        u["sieve"] = body["data"]
