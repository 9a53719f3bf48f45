"""
The operator's page in a real browser (`make test-web`): how it looks to a program, what can be done on it, and what it
does with hostile names. Pictures of every page are left in build/web/pictures, for people to look at.
"""

import base64
import json
import os

import pytest

from lib import processes
from lib.browser import Browser, SIZES
from lib.httpapi import Api, address, token
from lib.mailferry import ROOT
from test_final import append
from test_opensrs import api, hashed, hosted, hosted_ferry, one_api  # noqa: F401

pytestmark = [pytest.mark.full, pytest.mark.any_servers]

PICTURES = os.path.join(ROOT, "build", "web", "pictures")
EVIL_USER = "<img/src=x/onerror=alert(1)>@example.com"
EVIL_WAVE = "<b onclick=alert(2)>2</b>"
EVIL_NOTE = "<script>alert(3)</script>"
EVIL_CLIENT = b"<svg/onload=alert(4)>"


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.end()


class Desk:
    """A ferry whose page is open to the browser."""

    def __init__(self, f, browser):
        self.f, self.browser = f, browser
        self.home = "%s://127.0.0.1:%d/" % address(f)
        self.operate, self.view = token(f, "olga", "operate"), token(f, "viktor", "view")

    def look(self, place="", scheme="light", size="wide", bearer=None):
        self.browser.look(scheme, size, bearer or self.operate)
        self.goto(place)

    def goto(self, place):
        self.browser.goto(self.home + "#/" + place)
        self.browser.wait("#body > :not(.empty)")

    def quiet(self):
        noise = self.browser.noise()
        assert not noise, "\n".join(noise)

    def do(self, action, yes, **fields):
        """Presses the button of an action, reads what the question says, and says yes."""
        self.browser.click("button:has-text('%s')" % action)
        self.browser.wait("dialog[open]")
        for name, text in fields.items():
            if self.browser.evaluate("document.querySelector('dialog [name=%s]').tagName" % name) == "SELECT":
                self.browser.select("dialog [name=%s]" % name, text)
            else:
                self.browser.fill("dialog [name=%s]" % name, text)
        said = " ".join(self.browser.text("dialog[open]"))
        self.browser.click("dialog button:has-text('%s')" % yes)
        self.browser.gone("dialog")
        return said


def opened():
    """Settings of section api; the port is the same after a restart."""
    return {"listen": "127.0.0.1:%d" % processes.free_ports(1)[0], "tls": False, "tokens": "tokens"}


@pytest.fixture
def desk(own_ferry, browser):
    return Desk(own_ferry({"api": opened(), "sync": {"delta_s": 1}, "run": {"nodes": 1}}), browser)


@pytest.fixture
def people(stage, desk):
    """Two in wave 1, in step; one of wave 2 with an evil name for it; and one whose own name is evil."""
    one, two, three = stage.take(), stage.take(), stage.take()
    for p in (one, two, three):
        stage.fill(p, {"INBOX": 6})
    desk.f.import_users([one.name, two.name], wave="1")
    desk.f.import_users([three.name, EVIL_USER], wave=EVIL_WAVE, name="evil.csv")
    desk.f.wait_state([one.name, two.name, three.name], "ready")
    return one, two, three


def test_every_page_in_every_light(stage, desk, people):
    b, moved = desk.browser, people[0]
    stage.client(desk.f, moved, EVIL_CLIENT)
    desk.f.command("cutover", moved.name)
    stage.client(desk.f, moved, EVIL_CLIENT)
    os.makedirs(PICTURES, exist_ok=True)
    pages = {"overview": "", "users": "users", "user": "user/" + moved.name, "waves": "waves", "wave": "wave/1",
             "phases": "phases", "plan": "phases/example.com", "sessions": "sessions", "reports": "reports"}
    desk.f.command("verify", moved.name)
    desk.f.command("waive", "--wave", "1", "quota", "--note", "as agreed")
    desk.f.cli("report", "--final")
    faults = []
    for scheme in ("light", "dark"):
        for size in SIZES:
            desk.look("", scheme, size)
            for name, place in pages.items():
                desk.goto(place)
                faults += ["%s, %s, %s: %s" % (name, scheme, size, fault) for fault in b.inspect()]
                b.shot(os.path.join(PICTURES, "%s-%s-%s.png" % (name, scheme, size)))
    assert not faults, "\n".join(faults)
    desk.quiet()


def test_a_wave_there_and_back(desk, people, stage):
    b, (one, two, _) = desk.browser, people
    b.look()
    b.goto(desk.home)
    b.fill("#token", "no-such-token")
    b.click("text=Sign in")
    b.wait(".trouble:has-text('token')")
    b.noise()       # the browser tells of the 401
    b.fill("#token", desk.operate)
    b.press("Enter")
    b.wait("h1:has-text('Overview')")

    # A wave is started.
    b.click("nav >> text=Waves")
    b.click("main a:has-text('1') >> nth=0")
    b.wait("h1:has-text('Wave 1')")
    assert "2 users" in desk.do("Start copying", "Start copying")
    b.wait(".toast:has-text('2 users')")

    # A user is looked up, and moved.
    b.click("nav >> text=Users")
    b.fill("#q", one.name.split("@")[0].upper())
    b.wait("td.name:has-text('%s')" % one.name)
    b.gone("td.name:has-text('%s')" % two.name)
    b.click("text=" + one.name)
    b.wait("h1:has-text('%s')" % one.name)
    b.wait("text=in step")
    assert "could begin at once" in desk.do("Cutover", "Cut over")
    b.wait(".facts .badge:has-text('trailing')")
    assert desk.f.user(one.name)["route"] == "new"

    # Then the rest of the wave.
    b.goto(desk.home + "#/wave/1")
    said = desk.do("Cutover", "Cut over 1 user", rate="600")
    assert "1 user is still to move" in said
    b.wait("text=2 on new")
    desk.f.wait_state([one.name, two.name], "trailing")
    assert "paused" not in " ".join(b.text("#body"))
    desk.do("Pause", "Pause", note="lunch")
    b.wait(".note:has-text('lunch')")
    desk.do("Resume", "Resume")
    b.gone(".note:has-text('lunch')")

    # And back. A note is asked for.
    b.click("button:has-text('Roll back')")
    b.click("dialog button:has-text('Roll back 2 users')")
    b.wait("dialog[open] [name=note]:invalid")
    assert "2 users live on new" in " ".join(b.text("dialog[open]"))
    b.press("Escape")
    b.gone("dialog")
    assert desk.f.user(one.name)["state"] == "trailing"
    desk.do("Roll back", "Roll back 2 users", note="as agreed")
    desk.f.wait_state([one.name, two.name], "ready")
    b.goto(desk.home + "#/user/" + one.name)
    b.wait(".facts .badge:has-text('ready')")
    b.wait(".timeline li:has-text('operator olga'):has-text('as agreed')")

    # A word about the plan.
    b.goto(desk.home + "#/phases/example.com")
    b.click("#item-brand")
    b.fill("dialog [name=note]", EVIL_NOTE)
    b.click("dialog button:has-text('It is done')")
    b.wait("td:has-text('%s')" % EVIL_NOTE)
    assert [i["note"] for i in desk.f.cli("phases", "example.com")["items"] if i["id"] == "brand"] == [EVIL_NOTE]
    desk.quiet()


def test_the_final_report(desk, people, tmp_path):
    b = desk.browser
    desk.f.command("waive", people[0].name, "quota", "--note", EVIL_NOTE)
    desk.look("reports")
    b.wait("text=No final report was made")
    assert "3 users" not in desk.do("Make the final report", "Make the report")     # the evil one is a fourth
    b.wait("h2:has-text('The whole move')")
    b.wait("td:has-text('%s')" % EVIL_NOTE)
    b.wait("#body td a:has-text('%s')" % EVIL_WAVE)
    kept = base64.b64decode(b.saved("button:has-text('Save as JSON')"))
    caller = Api(desk.f).connect()
    caller.request("GET", "/v1/report/final?part=document", headers={"Authorization": "Bearer " + desk.view})
    assert kept == caller.getresponse().read()
    caller.close()
    file = tmp_path / "final.json"
    file.write_bytes(kept)
    assert "as it was signed" in desk.f.command("verify", "--check-file", str(file)).stdout

    # Made anew, it is another one; the waves have their own.
    desk.do("Make it anew", "Make the report")
    made = json.loads(kept)["report"]["made"]
    processes.wait_until(lambda: json.loads(base64.b64decode(b.saved("button:has-text('Save as JSON')")))["report"]["made"] > made, 10,
                         "the second report")
    assert b.inspect() == []
    b.click(".choices a:text-is('1')")
    b.wait("h2:has-text('Report')")
    desk.quiet()


def test_a_check_is_let_pass(stage, own_ferry, browser):
    """For a user, then for the wave; each time taken back."""
    b, p = browser, stage.take()
    desk = Desk(own_ferry({"api": opened(), "gate": {"phases": "require"}, "run": {"nodes": 1}, "sync": {"delta_s": 1, "message_max": "8K"}}), browser)
    append(stage, p, 9000)
    desk.f.import_users([p.name], wave="1")

    def state():
        return next(i["state"] for i in desk.f.cli("why", p.name)["waits_for"] if i["name"] == "phases")
    desk.look("user/" + p.name)
    b.click("#exceptions-pass")
    b.wait("dialog small:has-text('at most 500 bytes')")
    b.fill("dialog [name=note]", "é" * 251)
    b.click("dialog button:has-text('Let 1 message pass')")
    b.wait("dialog [name=note]:invalid")
    b.fill("dialog [name=note]", "é" * 250)
    b.wait("dialog [name=note]:valid")
    b.press("Escape")
    assert "Let 1 message of" in desk.do("Let all pass", "Let 1 message pass", note="an old advert")
    b.wait("td .badge:text-is('waived')")
    desk.f.wait_state(p.name, "ready")
    desk.do("Take back", "Take it back")
    b.wait("#exceptions-pass")
    desk.do("Let all pass", "Let 1 message pass", note="after all")
    b.wait("td .badge:text-is('waived')")
    desk.f.wait_state(p.name, "ready")

    b.click("#waive-phases")
    b.click("dialog button:has-text('Let it pass')")
    b.wait("dialog [name=note]:invalid")
    b.fill("dialog [name=note]", "as agreed")
    b.click("dialog button:has-text('Let it pass')")
    b.wait(".checks li:has-text('as agreed') .badge:has-text('waived')")
    assert state() == "waived"
    b.click("#waive-phases:has-text('Take back')")
    b.click("dialog button:has-text('Take it back')")
    b.wait("#waive-phases:has-text('Let it pass')")
    assert state() == "waits"

    desk.goto("wave/1")
    assert "phases: 1 user waits" in desk.do("Let a check pass", "Let it pass", check="phases", note="for all")
    b.wait("td:has-text('for all')")
    assert state() == "waived"
    desk.goto("user/" + p.name)
    b.click("a:has-text('take it back there')")
    b.click("td button:has-text('Take back')")
    b.click("dialog button:has-text('Take it back')")
    b.gone("td:has-text('for all')")
    assert state() == "waits"
    desk.quiet()


def test_both_sides_are_compared(desk, people):
    b, one = desk.browser, people[0]
    desk.look("user/" + one.name)
    b.wait("text=Nobody has asked for one yet")
    desk.do("Compare now", "Compare", level="headers")
    b.wait("section:has-text('Comparison of both sides') >> text=6 messages are the same, by headers")
    b.wait(".badge:text-is('perfect')")
    assert b.inspect() == []
    desk.quiet()


def test_sessions_are_dropped_and_a_node_is_drained(desk, people, imap):
    b, f, one = desk.browser, desk.f, people[0]

    def connected():
        c = imap(f)
        c.login(one.name, one.password)
        processes.wait_until(lambda: f.cli("sessions", one.name)["sessions"], 60, "the session's row")
    connected()
    desk.look("user/" + one.name)
    desk.do("Drop sessions", "Drop the sessions")
    b.wait(".toast:has-text('1 session ended')")
    processes.wait_until(lambda: not f.cli("sessions", one.name)["sessions"], 60, "the row to go")
    connected()
    desk.goto("sessions")
    assert one.name in desk.do("Drop", "Drop the sessions", force="yes")
    b.wait(".toast:has-text('1 session ended')")

    connected()
    desk.goto("")
    said = desk.do("Drain", "Drain")
    assert "1 session is ended" in said and "nobody can log in" in said
    b.wait(".badge:has-text('drained')")
    processes.wait_until(lambda: not f.cli("sessions", one.name)["sessions"], 60, "the row to go")
    desk.do("Take clients again", "Take clients again")
    b.gone(".badge:has-text('drained')")
    connected()
    assert b.inspect() == []
    desk.quiet()


def test_accounts_and_the_tool_of_opensrs(stage, api, hosted_ferry, browser):      # noqa: F811
    """Asked for before there are accounts, so that no pass of ours is first."""
    api.pull_context = stage.context
    b, p = browser, stage.take()
    stage.fill(p, {"INBOX": 3})
    h = hosted_ferry(api=opened(), opensrs={"create": False, "pull_poll_s": 1}, run={"nodes": 1})
    h.write([{"user": p.name, "hash": hashed(p.password, "$5$")}])
    h.ferry.import_users([{"user": p.name, "wave": "1", "old_password_file": h.ferry.secret_file(p.name, p.password)}])
    desk = Desk(h.ferry, browser)
    desk.look("wave/1")
    assert "old password of 1 user" in desk.do("Pull by OpenSRS", "Pull 1 user")
    b.wait("h2:has-text('OpenSRS')")
    said = desk.do("Provision", "Make 2, change 0")
    assert "2 to make" in said and p.name in said       # the domain is the other one
    b.wait(".toast:has-text('2 made')")
    h.ferry.command("retry", p.name)
    b.wait("td .badge:text-is('done')")
    assert b.inspect() == []
    os.makedirs(PICTURES, exist_ok=True)
    b.shot(os.path.join(PICTURES, "opensrs-light-wide.png"))
    b.click("button:has-text('Provision')")
    b.wait(".toast:has-text('Nothing to change')")
    desk.quiet()


def test_who_stands_still_is_let_go_apart(stage, api, hosted_ferry, browser):      # noqa: F811
    """The job is named, and nobody who waits for the next one goes along."""
    api.pull_context, api.never_start = stage.context, True
    b, (p, waits) = browser, (stage.take(), stage.take())
    stage.fill(p, {"INBOX": 1})
    h = hosted_ferry(api=opened(), opensrs={"create": False, "pull_poll_s": 1, "pull_still_s": 10}, run={"nodes": 1})
    h.write([{"user": p.name, "hash": hashed(p.password, "$5$")}])
    h.ferry.import_users([{"user": x.name, "wave": "1", "old_password_file": h.ferry.secret_file(x.name, x.password)} for x in (p, waits)])
    h.ferry.command("pull", "--wave", "1", "--no-wait")
    h.provision(p.name)
    h.ferry.command("retry", p.name)
    processes.wait_until(lambda: h.ferry.cli("status")["pull"]["stuck"] == 1, 60, "the job to stand still")
    desk = Desk(h.ferry, browser)
    desk.look("wave/1")
    b.wait("#pull-undo")
    job, = api.jobs
    assert job in desk.do("Let go who stands still", "It is over")
    b.wait(".toast:has-text('1 user is not waited for any more')")
    b.gone("#pull-let-go")
    assert b.evaluate("document.querySelectorAll('#pull-undo').length") == 1
    assert [e["why"] for e in h.ferry.history(p.name) if "OpenSRS" in e["why"]] == ["OpenSRS's tool is not waited for any more"]
    assert "1 user who waits" in desk.do("Wait no more", "Wait no more")
    b.gone("#pull-undo")
    desk.quiet()


def test_what_cannot_be_done_is_not_offered(desk, people):
    b = desk.browser
    desk.look("wave/1")
    b.wait("button:has-text('Cutover')")
    assert b.evaluate("document.querySelectorAll('#do-provision, #do-pull-by-opensrs').length") == 0


def test_hostile_words_are_text(stage, desk, people):
    b, (_, _, three) = desk.browser, people
    stage.client(desk.f, three, EVIL_CLIENT)
    desk.f.cli("phases", "example.com", "--done", "told", "--note", EVIL_NOTE)
    desk.look("users")
    b.wait("td.name:has-text('%s')" % EVIL_USER)
    b.wait("td:has-text('%s')" % EVIL_WAVE)
    b.click("text=" + EVIL_USER)
    b.wait("h1:has-text('%s')" % EVIL_USER)
    b.wait("dd:has-text('%s')" % EVIL_USER)
    b.click("button:has-text('Cutover')")
    b.wait("dialog h2:has-text('%s')" % EVIL_USER)
    b.press("Escape")
    b.click("dd a:has-text('%s')" % EVIL_WAVE)
    b.wait("h1:has-text('Wave %s')" % EVIL_WAVE)
    assert b.inspect() == []
    desk.goto("user/" + three.name)
    b.wait("td:has-text('%s')" % EVIL_CLIENT.decode())
    desk.goto("phases/example.com")
    b.wait("td:has-text('%s')" % EVIL_NOTE)
    # What is pasted into the address is a name too, and no more.
    for place in ("wave/%3Cimg%20src%3Dx%20onerror%3Dalert(5)%3E", "user/%E0%A4%A", "javascript:alert(6)", "__proto__/x"):
        b.goto(desk.home + "#/" + place)
        b.wait("h1")
        assert b.inspect() == []
    noise = b.noise()
    assert not [n for n in noise if "status of 4" not in n], noise     # a wave that is not there is told as such


def test_who_may_only_look(desk, people):
    desk.look("user/" + people[0].name, bearer=desk.view)
    b = desk.browser
    b.wait("text=Your token may only look")
    assert b.evaluate("document.querySelectorAll('.actions button:not(:disabled)').length") == 0
    for place in ("phases/example.com", "", "reports"):
        desk.goto(place)
        assert b.evaluate("document.querySelectorAll('#body button').length") > 0
        assert b.evaluate("document.querySelectorAll('#body button:not(:disabled)').length") == 0, place
    desk.quiet()


def test_the_keyboard_is_enough(desk, people):
    b, name = desk.browser, people[0].name
    desk.look("user/" + name)
    b.press("Tab")
    assert b.evaluate("document.activeElement.className") == "skip"
    b.press("Enter")
    assert b.evaluate("document.activeElement.id") == "main"
    for _ in range(20):
        b.press("Tab")
        if "Cutover" in b.evaluate("document.activeElement.textContent"):
            break
    assert b.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    b.press("Enter")
    b.wait("dialog[open]")
    assert b.evaluate("document.activeElement.textContent") == "Cancel"
    b.press("Enter")
    b.gone("dialog")
    assert desk.f.user(name)["state"] == "ready"


def test_an_engine_that_goes_away(desk, people):
    b = desk.browser
    desk.look()
    b.wait("#dot.live")
    desk.f.stop()
    b.wait("#banner:has-text('does not answer')")
    assert "ready" in " ".join(b.text("#body.stale"))     # what was known is still to be read
    desk.f.start(new_store=False)
    b.evaluate("document.querySelector('#try-now')?.click()")
    b.gone("#banner p")
    b.wait("#dot.live")
    assert "ready" in " ".join(b.text("#body:not(.stale)"))


def test_numbers_follow_by_themselves(desk, people):
    """An event on the stream is enough; nobody reloads."""
    b = desk.browser
    desk.look("user/" + people[0].name)
    b.wait("#dot.live")
    b.wait(".facts .badge:has-text('ready')")
    desk.f.command("cutover", people[0].name)
    b.wait(".facts .badge:has-text('trailing')")
    rows = json.loads(b.evaluate("JSON.stringify([...document.querySelectorAll('.timeline .what')].map((e) => e.textContent))"))
    assert rows[0].startswith("finalizing → trailing"), rows
    desk.quiet()


# Requests whose path begins so wait for release(): then they have this status, or go on if it is 0.
HELD = """(() => {
    const real = window.fetch, waiting = [], held = %s;
    window.fetch = (path, options) => {
        const [start, status] = held.find(([p]) => path.startsWith(p) && (p !== "/v1" || path === p)) ?? [];
        if (start === undefined)
            return real(path, options);
        return new Promise((done) => waiting.push([start, () => done(status
            ? new Response(JSON.stringify({ error: "not now" }), { status }) : real(path, options))]));
    };
    window.held = (start) => waiting.some(([s]) => s === start);
    window.release = (start) => waiting.filter(([s]) => s === start).forEach(([, go]) => go());
})()"""


def hold(b, **paths):
    b.evaluate(HELD % json.dumps(list(paths.items())))


def test_exceptions_that_cannot_be_read_are_not_said_to_be_none(desk, people):
    b, path = desk.browser, "/v1/users/" + people[0].name.replace("@", "%40") + "/exceptions"
    desk.look("users")
    hold(b, **{path: 503})
    b.evaluate("location.hash = '#/user/%s'" % people[0].name)
    processes.wait_until(lambda: b.evaluate("held('%s')" % path), 60, "the exceptions to be asked for")
    b.evaluate("release('%s')" % path)
    b.wait("text=Not known now")
    b.wait("h1:has-text('%s')" % people[0].name)
    b.wait(".facts .badge:has-text('ready')")


def test_a_late_refusal_throws_nobody_out(desk, people):
    """Of a request of the one who was signed in before."""
    b = desk.browser
    desk.look("users")
    hold(b, **{"/v1/users?state=ready": 401, "/v1": 0})
    b.evaluate("location.hash = '#/users?state=ready'")
    processes.wait_until(lambda: b.evaluate("held('/v1/users?state=ready')"), 60, "the users to be asked for")
    b.click("button:has-text('Sign out')")
    b.fill("#token", desk.view)
    b.click("button:has-text('Sign in')")
    processes.wait_until(lambda: b.evaluate("held('/v1')"), 60, "the new token to be shown")
    b.evaluate("release('/v1/users?state=ready')")
    b.evaluate("release('/v1')")
    b.wait("text=may look")
    assert b.evaluate("sessionStorage.getItem('mailferry.token')") == desk.view


def test_a_first_look_asks_once(desk):
    """The stream's first words are how things stand, which is on the page already. Modules come together, not one by one."""
    b = desk.browser
    desk.look()
    b.wait("#dot.live")
    b.evaluate("new Promise((done) => setTimeout(done, 3000))")     # the stream begins within a second, and is followed within another
    asked = json.loads(b.evaluate("JSON.stringify(performance.getEntriesByType('resource').map((e) => e.name))"))
    for path in ("/v1", "/v1/status", "/v1/rates", "/v1/history"):
        assert len([a for a in asked if a.split("?")[0].endswith(path)]) == 1, (path, asked)
    files = {f for f in os.listdir(os.path.join(ROOT, "admin", "web")) if f.endswith(".js")}
    named = b.evaluate("[...document.querySelectorAll('script[src], link[rel=modulepreload]')].map((e) => e.getAttribute(e.src ? 'src' : 'href')).join()")
    assert set(named.split(",")) == files
    desk.quiet()


@pytest.mark.parametrize("place, path", [("waves", "/v1/status"), ("phases/example.com", "/v1/phases?domain=example.com")])
def test_what_reads_everybody_is_asked_for_seldom(desk, people, place, path):
    """However much happens meanwhile."""
    b = desk.browser
    desk.look(place)
    b.wait("#dot.live")
    asked = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('%s')).length" % path
    before = b.evaluate(asked)
    assert before
    desk.f.command("cutover", people[0].name)
    desk.f.wait_state([people[0].name], "trailing")
    b.wait("#dot.live")
    b.evaluate("new Promise((done) => setTimeout(done, 4000))")     # an event is followed within a second
    assert b.evaluate(asked) == before


def test_what_is_forgotten_while_it_is_asked_for(desk):
    """What was asked for before a person changed it is not kept."""
    desk.look()
    assert desk.browser.evaluate("""(async () => {
        const { seldom } = await import("/api.js"), asked = [];
        const kept = seldom(1e6, () => new Promise((done) => asked.push(done)));
        const before = kept.get();

        kept.forget();
        asked[0]("old");
        await before;
        const after = kept.get();

        asked[1]?.("new");
        return after;
    })()""") == "new"
