#!/usr/bin/env python3
"""docs/official-sdks.md: each of its files is run with the released SDK against the mock, first without it, where the fault must show, then with it. `--only TEXT`: cases or languages that have it."""

import argparse
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[2] / "docs" / "official-sdks.md"
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "mock-server" / "tests" / "sdks")]
import install  # noqa: E402
from install import TARGET, WORKSPACE, Missing, Trouble, page_files, without_proxy  # noqa: E402
from running_mock import find_mock, running_mock  # noqa: E402

BUILT = TARGET / "living-with"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
DEV_KEY = (WORKSPACE / "mock-server" / "dev-key.pem").read_text(encoding="utf-8")
PEM = "-----BEGIN" + DEV_KEY.partition("-----BEGIN")[2]
APPS = {kind: str(at) * 32 + ".app.coze" for at, kind in enumerate(["WEB", "PKCE", "DEVICE"], 1)}
REDIRECT = "https://app.example/callback"


class Wrong(Exception):
    """A fault that does not show, or one that shows although the page's lines are there."""


class Skipped(Exception):
    """What the machine does not have."""


class Broken(Exception):
    """The driver died: there is no verdict about the page."""


# --- the page's files, and a program for each language -------------------------------------------------


def written(folder, language, driver):
    """The page's files and the driver; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {**page_files(PAGE, language), driver: (HERE / driver).read_text(encoding="utf-8")}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in sorted(texts)]


def python():
    written(BUILT / "python", "python", "drive.py")
    return [str(install.cozepy()), "-B", str(BUILT / "python" / "drive.py")]


def js():
    folder = install.coze_api() / "living-with"  # node finds packages above the file
    written(folder, "js", "drive.mjs")
    return ["node", str(folder / "drive.mjs")]


def go():
    return [str(install.go_program("living-with", written(BUILT / "go", "go", "drive.go")))]


def java():
    return [*install.java_program("living-with", written(BUILT / "java", "java", "Drive.java"), "coze"), "Drive"]


LANGUAGES = {"python": python, "js": js, "go": go, "java": java}


class Program:
    """A running driver. What it printed besides, logs above all, is kept."""

    def __init__(self, command):
        self._errors = tempfile.TemporaryFile()
        environment = {**without_proxy(), **APPS, "KEY": PEM}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self.process = subprocess.Popen(command, **pipes, text=True, env=environment)

    def ask(self, how, base, do, *arguments, within=30):
        line = json.dumps({"how": how, "base": base, "do": do, "with": arguments})
        late = threading.Event()
        alarm = threading.Timer(within, lambda: (late.set(), self.process.kill()))
        alarm.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            said = self.process.stdout.readline()
        finally:
            alarm.cancel()
        if said:
            return json.loads(said)
        self.process.wait()
        if late.is_set():
            return {"no end": f"after {within} s"}
        raise Broken(self.log()[-1500:])

    def log(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def end(self):
        self.process.kill()
        self.process.wait()


# --- the mock ------------------------------------------------------------------------------------------


class World:
    """A world of its own for a case, at the root of a port: the Java SDK keeps host and port of a base only."""

    names = iter(range(1_000_000))
    opened = threading.local()  # a mock has 256 ports at most, so a case gives its own back
    binary = None  # for a mock of one's own, where a setting is for all worlds

    def __init__(self, mock, config="", *faults):
        body = {"name": f"l{next(World.names)}", "port": 0, "config": config}
        self.base = control(mock, "/worlds", body)["port_url"]
        World.opened.bases = [*getattr(World.opened, "bases", []), self.base]
        for on, fault, *more in faults:
            control(self.base, "/faults", {"on": on, "fault": fault, **(more[0] if more else {})})

    @staticmethod
    def close_all():
        for base in getattr(World.opened, "bases", []):
            control(base, "/port", method="DELETE")
        World.opened.bases = []

    def requests(self, **members):
        found = control(self.base, "/requests")["requests"]
        return [one for one in found if all(one.get(name) == value for name, value in members.items())]


def control(base, path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/_mock/v1{path}", data, {"content-type": "application/json"}, method=method)
    with DIRECT.open(request, timeout=30) as reply:
        return json.loads(reply.read() or "null")


def refresh_token(base):
    """That of a login with the web app."""
    query = f"response_type=code&client_id={APPS['WEB']}&redirect_uri={REDIRECT}&state=s"
    url = f"{base}/api/permission/oauth2/authorize?{query}"
    code = parse_qs(urlsplit(control(base, "/authorize", {"url": url, "action": "approve"})["redirect"]).query)["code"][0]
    body = {"grant_type": "authorization_code", "client_id": APPS["WEB"], "redirect_uri": REDIRECT, "code": code}
    headers = {"content-type": "application/json", "authorization": "Bearer mock-web-secret"}
    request = urllib.request.Request(f"{base}/api/permission/oauth2/token", json.dumps(body).encode(), headers)
    with DIRECT.open(request, timeout=30) as reply:
        return json.loads(reply.read())["refresh_token"]


# --- cases ---------------------------------------------------------------------------------------------

CASES = []  # (name, what shows the fault without the page by language, the languages, slow, the work)
red = dict


def case(name, red, also="", slow=False):
    """`red`: where the SDK has it, and what it then says. `also`: where it has not, and the page's lines are run all the same."""
    return lambda work: CASES.append((name, red, [*red, *also.split()], slow, work))


def expect(good, said):
    if not good:
        raise Wrong(json.dumps(said, ensure_ascii=False)[:400])


def answer(status, body, kind="application/json"):
    fault = {"kind": "status", "status": status, "body": body, "header": {"content-type": kind}}
    return [({"endpoint": "token"}, fault)]


def is_refusal(said, status, code):
    return said.get("known") and said["status"] == status and said["code"] == code and "token" not in said


def refused(name, red, also, faults, status, code):
    """A refresh that an answer refuses; Go has no numbers for a code."""

    @case(name, red, also)
    def work(mock, program, language, how):
        said = program.ask(how, World(mock, "", *faults).base, "refresh", "rt1")
        given = None if language == "go" and code and code.isdigit() else code
        expect(is_refusal(said, status, given), said)


refused("HTML under 200", red(python='"code": "200"', js='"token": null', go='"token": ""', java="JsonParseException"), "", answer(200, "<html>log in to the network</html>", "text/html"), 200, None)
refused("an empty object under 200", red(python="ValidationError", js='"token": null', go='"token": ""', java='"token": null'), "", answer(200, "{}"), 200, None)
refused("a number under 500", red(go='"token": ""', java='"code": null'), "python js", answer(500, '{"code":5000,"msg":"internal"}'), 500, "5000")
TOKEN = '{"access_token":"czu_x","expires_in":4000000000,"refresh_token":"r","token_type":"Bearer"}'
refused("a token under 500", red(python='"token": "czu_x"', go='"token": "czu_x"'), "js java", answer(500, TOKEN), 500, None)
REFUSAL = '{"error_code":"invalid_grant","error_message":"spent"}'
refused("a life that is a list", red(python="ValidationError", js='"token": "czu_x"', go="invalid json", java="MismatchedInputException"), "", answer(200, TOKEN.replace("4000000000", "[1]")), 200, None)
refused("a life that does not fit", red(java="JsonMappingException"), "", answer(200, TOKEN.replace("4000000000", "1900000000000")), 200, None)
refused("a life of thirty digits", red(java="JsonMappingException"), "js go", answer(200, TOKEN.replace("4000000000", "9" * 30)), 200, None)
refused("a refusal under 200", red(python='"code": null', js='"token": null', java='"token": null'), "go", answer(200, REFUSAL), 200, "invalid_grant")
RFC = '{"error":"invalid_grant","error_description":"spent"}'
refused("a refusal in the RFC's words", red(python="ValidationError", js='"code": null', go='"token": ""', java='"code": null'), "", answer(400, RFC), 400, "invalid_grant")
refused("a refresh token that is spent", red(python='"code": null', js='"code": null'), "go java", [], 400, "invalid_grant")
refused("HTTP 503 of a gateway", red(python='"code": "503"', js='"status": 500', go='"known": false', java='"known": false'), "", answer(503, "busy", "text/plain"), 503, None)


def leak(name, red, also, body):
    @case(name, red, also)
    def work(mock, program, language, how):
        before = len(program.log())
        said = program.ask(how, World(mock, "", *answer(200, body)).base, "refresh", "rt1")
        expect("error" in said and "SECRET" not in said["text"] + program.log()[before:], said)


leak("a cut answer is in the error", red(python="czu_SECRET", go="czu_SECRET"), "js java", '{"access_token":"czu_SECRET","refresh_token":"SECRET"')
leak("an answer without its end is in the error", red(python="SECRET"), "js go java", '{"access_token":"czu_SECRET","refresh_token":"SECRET"}')


@case("a member that does not fit is in the error", red(go="czu_SECRET"), "python js java")
def _(mock, program, language, how):
    before = len(program.log())
    body = '{"access_token":"czu_SECRET","expires_in":1900000000,"refresh_token":12345}'
    said = program.ask(how, World(mock, "", *answer(200, body)).base, "refresh", "rt1")
    expect("SECRET" not in said.get("text", "") + program.log()[before:], said)


@case("a redirect gets the refresh token", red(python="rt-of-the-user", js="rt-of-the-user", go="rt-of-the-user"), "java")
def _(mock, program, language, how):
    came = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append(self.rfile.read(int(self.headers.get("content-length") or 0)).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fault = {"kind": "redirect", "status": 307, "location": f"http://localhost:{server.server_port}/"}
        said = program.ask(how, World(mock, "", ({"endpoint": "token"}, fault)).base, "refresh", "rt-of-the-user")
        server.shutdown()
    expect(not came and "error" in said, [said, came])


@case("no answer passes for HTTP 500", red(js='"status": 500'))
def _(mock, program, language, how):
    said = program.ask(how, World(mock, "", ({"endpoint": "token"}, {"kind": "reset"})).base, "refresh", "rt1")
    expect(said.get("status") in (0, None) and "error" in said, said)


@case("no answer for a long time", red(python="invalid grant", js='"status": 400'), "go java", slow=True)
def _(mock, program, language, how):
    world = World(mock, "", ({"endpoint": "token"}, {"kind": "delay", "ms": 13_000}))
    began = time.monotonic()
    said = program.ask(how, world.base, "refresh", "rt1")
    expect(time.monotonic() - began < 12.5 and "error" in said and not said.get("code"), said)


@case("an answer that comes byte by byte", red(js='"status": 400', java='"status": 400'), "go", slow=True)
def _(mock, program, language, how):
    world = World(mock, "", ({"endpoint": "token"}, {"kind": "slow_drip", "body": TOKEN + " " * 1400}))
    began = time.monotonic()
    said = program.ask(how, world.base, "refresh", "rt1")
    expect(time.monotonic() - began < 12.5 and "error" in said and not said.get("code"), said)


@case("a refresh token is sent twice", red(java='"invalid_grant", "known": true'), "python js go")
def _(mock, program, language, how):
    world = World(mock)
    one, two = refresh_token(world.base), refresh_token(world.base)
    first = program.ask(how, world.base, "refresh", one)
    expect("token" in first, first)
    control(world.base, "/faults", {"on": {"endpoint": "token"}, "fault": {"kind": "reset"}, "at": "answer", "times": 1})
    said = program.ask(how, world.base, "refresh", two)
    sent = world.requests(endpoint="token", grant="refresh_token")
    expect(len(sent) == 2 and "error" in said, [said, len(sent)])


@case("a 503 repeats the refresh token", red(java="[2"), "python js go")
def _(mock, program, language, how):
    busy = {"kind": "status", "status": 503, "header": {"retry-after": "0"}}
    world = World(mock, "", ({"endpoint": "token"}, busy))
    program.ask(how, world.base, "refresh", "rt1")
    sent = len(world.requests(endpoint="token"))
    expect(sent == 1, [sent, "requests"])


@case("connections are not given back", red(go='"sockets"'))
def _(mock, program, language, how):
    if not Path("/proc/self/fd").exists():
        raise Skipped("it counts sockets in /proc")
    world = World(mock, "", *answer(502, "<html>" + "busy " * 5000, "text/html"))

    def sockets():
        links = [os.readlink(one.path) for one in os.scandir(f"/proc/{program.process.pid}/fd")]
        return sum(one.startswith("socket:") for one in links)

    before = sockets()
    for _ in range(20):
        program.ask(how, world.base, "refresh", "rt1")
    expect(sockets() - before < 5, [sockets() - before, "sockets"])


@case("the page of a base of one's own", red(python="https://capi.api", js="https://capi.api", go="cwww.api", java="cwww.www"))
def _(mock, program, language, how):
    said = program.ask(how, mock, "www", "https://capi.api.example", "https://www.example")
    expect(said["url"].startswith("https://www.example/api/permission/oauth2/authorize?"), said)


@case("an account id leads out of the path", red(js='"/api/permission/v1/users/token"'))
def _(mock, program, language, how):
    world = World(mock)
    program.ask(how, world.base, "account", "../../v1/users")
    (asked,) = world.requests()
    expect(asked["path"].startswith("/api/permission/oauth2/account/"), asked["path"])


@case("one 502 ends a device login", red(python="502", js="502", go="502", java="502"))
def _(mock, program, language, how):
    on = {"endpoint": "token", "grant": "device_code"}
    config = 'consent = "approve"\n[ttl]\ndevice_interval = "1s"'
    world = World(mock, config, (on, {"kind": "status", "status": 502}, {"times": 1}))
    said = program.ask(how, world.base, "device")
    expect(said.get("token"), said)


@case("a device login that a person refuses", red(), "python js go java")
def _(mock, program, language, how):
    world = World(mock, 'consent = "deny"\n[ttl]\ndevice_interval = "1s"')
    said = program.ask(how, world.base, "device")
    expect(said.get("code") == "access_denied", said)


@case("a device login has no end", red(python="no end", js="no end", go="no end", java="no end"), slow=True)
def _(mock, program, language, how):
    pending = {"kind": "status", "status": 428, "body": '{"error_code":"authorization_pending","error":"authorization_pending"}'}
    world = World(mock, '[ttl]\ndevice = "3s"\ndevice_interval = "1s"', ({"endpoint": "token"}, pending))
    said = program.ask(how, world.base, "device", within=7 if how == "sdk" else 30)
    expect("nobody approved in time" in said.get("text", ""), said)


@case("the server's pause is not kept", red(python="slow_down", js="slow_down", go="slow_down", java="slow_down"), slow=True)
def _(mock, program, language, how):
    world = World(mock, '[ttl]\ndevice = "10s"\ndevice_interval = "7s"')
    program.ask(how, world.base, "device", within=7 if how == "sdk" else 30)
    said = [one["outcome"].get("error") for one in world.requests(endpoint="token")]
    expect(said == ["authorization_pending"], said)


@case("the program stands still during a device login", red(python='"longest": 5'), slow=True)
def _(mock, program, language, how):
    on = {"endpoint": "token", "grant": "device_code"}
    pending = {"kind": "status", "status": 428, "body": '{"error_code":"authorization_pending"}'}
    config = 'consent = "approve"\n[ttl]\ndevice_interval = "1s"'
    said = program.ask(how, World(mock, config, (on, pending, {"times": 1})).base, "ticks")
    expect(said["longest"] < 1, said)


@case("one token request for each thread", red(python="requests", go="requests", java="requests"), "js")
def _(mock, program, language, how):
    world = World(mock, "", ({"endpoint": "token"}, {"kind": "delay", "ms": 200}))
    tokens = program.ask(how, world.base, "auth")["tokens"]
    asked = world.requests(endpoint="token")
    expect(len(asked) == 1 and len(set(tokens)) == 1 and tokens[0], {"requests": len(asked), "tokens": len(set(tokens))})


@case("callers wait one after the other for a token server that hangs", red(), "python js go java", slow=True)
def _(mock, program, language, how):
    world = World(mock, "", ({"endpoint": "token"}, {"kind": "hold"}))
    began = time.monotonic()
    program.ask(how, world.base, "auth")
    asked = world.requests(endpoint="token")
    expect(time.monotonic() - began < 15 and len(asked) == 1, [time.monotonic() - began, len(asked)])


@case("a caller who has a second waits for a token server that hangs", red(), "go", slow=True)
def _(mock, program, language, how):
    world = World(mock, "", ({"endpoint": "token"}, {"kind": "hold"}))
    program.ask(how, world.base, "auth", "later")
    said = program.ask(how, world.base, "hasty")
    expect(said["waited"] < 3 and "deadline" in said["error"], said)


@case("a connection that the server closed while nobody asked", red(), "java", slow=True)
def _(mock, program, language, how):
    config = BUILT / "idle.toml"
    config.write_text('[limits]\nidle = "1s"\n')
    with running_mock(World.binary, "--config", str(config)) as info:
        base = json.loads(info)["base_url"]
        program.ask(how, base, "auth")
        for _ in range(3):
            said = program.ask(how, base, "list")
            expect("ok" in said, said)
            time.sleep(2.2)


@case("a request for a token is refused inside of an API call", red(java='"known": false'))
def _(mock, program, language, how):
    said = program.ask(how, World(mock).base, "inside", "rt1")
    expect(is_refusal(said, 400, "invalid_grant"), said)


@case("a token is used to its last second", red(python='"more requests": 0'), "js go java")
def _(mock, program, language, how):
    soon = {"kind": "member", "member": "expires_in", "value": int(time.time()) + 45}
    world = World(mock, "", ({"endpoint": "token"}, soon))
    program.ask(how, world.base, "auth")
    before = len(world.requests(endpoint="token"))
    program.ask(how, world.base, "token")
    after = len(world.requests(endpoint="token"))
    expect(after == before + 1, {"more requests": after - before})


@case("a revoked token is kept", red(python='"code": "4100"', go='"code": "4100"', java="4100"), "js")
def _(mock, program, language, how):
    world = World(mock)
    for token in program.ask(how, world.base, "auth")["tokens"]:
        control(world.base, "/tokens/revoke", {"token": token})
    said = program.ask(how, world.base, "call")
    again = program.ask(how, world.base, "call")
    expect("ok" in said and "ok" in again, [said, again])


@case("an enterprise has no effect", red(go='"/api/permission/oauth2/token"'))
def _(mock, program, language, how):
    world = World(mock)
    program.ask(how, world.base, "auth")
    (asked,) = [one for one in world.requests(endpoint="token")][:1]
    expect("/enterprise_id/volcano_1/" in asked["path"], asked["path"])


@case("an API refusal in its own words", red(java="code=401"))
def _(mock, program, language, how):
    said = program.ask(how, World(mock).base, "api", "pat_of_nobody")
    expect(said.get("code") == "4100" and said.get("error") is None, said)


def key(name, red, also, text):
    @case(name, red, also)
    def work(mock, program, language, how):
        given = text() if callable(text) else text
        said = program.ask(how, World(mock).base, "key", given)
        expect(said.get("token"), said)


key("a key with \\n for its line breaks", red(python="PEM", js="secretOrPrivateKey", go="illegal base64", java="Illegal base64"), "", PEM.strip().replace("\n", "\\n"))
key("a key in quotes, behind other text", red(js="secretOrPrivateKey", go="illegal base64", java="Illegal base64"), "python", "the key:\n" + PEM.strip() + '"\n')
key("a key with CRLF behind a byte order mark", red(go="illegal base64", java="Illegal base64"), "python js", "\ufeff" + PEM.replace("\n", "\r\n"))


key("a key in single quotes, with \\r\\n written out, before other text", red(python="PEM", js="secretOrPrivateKey", go="illegal base64", java="Illegal base64"), "", "'" + PEM.strip().replace("\n", "\\r\\n") + "' # of the test app")


@case("a key in PKCS#1", red(go="illegal base64", java="Illegal base64"), "python js")
def _(mock, program, language, how):
    old = BUILT / f"{language}-pkcs1.pem"
    old.write_text(PEM)
    subprocess.run(["openssl", "rsa", "-traditional", "-in", old, "-out", old], check=True, capture_output=True)
    text = old.read_text()
    if "RSA PRIVATE KEY" not in text:
        raise Wrong("openssl made no PKCS#1")
    if how == "page":
        (command,) = re.findall(r"`(openssl pkcs8 [^`]*)`", PAGE.read_text(encoding="utf-8"))
        folder = BUILT / f"{language}-key"
        folder.mkdir(exist_ok=True)
        (folder / "key.pem").write_text(text)
        subprocess.run(command.split(), cwd=folder, check=True)
        text = (folder / "key8.pem").read_text()
    said = program.ask(how, World(mock).base, "key", text)
    expect(said.get("token"), said)


@case("a line break behind the secret", red(python="mock-web-secret", go="invalid header field value", java="mock-web-secret"), "js")
def _(mock, program, language, how):
    said = program.ask(how, World(mock).base, "secret", "mock-web-secret\n")
    # The refresh token is refused, so the secret was taken.
    expect(is_refusal(said, 400, "invalid_grant") or "refresh_token" in said["text"], said)


@case("a base that ends in a slash", red(js="4000", go="4000", java="//api/"), "python")
def _(mock, program, language, how):
    said = program.ask(how, World(mock).base, "slash")
    expect(said.get("token"), said)


def approved(world, url):
    """What comes back to the app, once the person has approved at this link."""
    back = control(world.base, "/authorize", {"url": url, "action": "approve"})["redirect"]
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


@case("PKCE", red(python="code_challenge_method=plain", js='"status": 400', go="code_verifier", java="code_challenge_method=plain"))
def _(mock, program, language, how):
    world = World(mock, '[rules]\npkce.verifier_length = "on"')
    made = program.ask(how, world.base, "link", *(["plain"] if language == "js" else []))
    query = parse_qs(urlsplit(made["url"]).query)
    came = approved(world, made["url"])
    said = program.ask(how, world.base, "callback", came)
    expect(said.get("token") and query["code_challenge_method"] == ["S256"], [said, made])


@case("another login's callback", red(python='"token": "czu_', js='"token": "czu_', go='"token": "czu_', java='"token": "czu_'))
def _(mock, program, language, how):
    world = World(mock)
    made = program.ask(how, world.base, "link")
    came = approved(world, made["url"])
    said = program.ask(how, world.base, "callback", {**came, "state": "of somebody else"})
    denied = program.ask(how, world.base, "callback", {"error": "access_denied", "state": came.get("state", "")})
    expect("token" not in said and "another login" in said["text"] and "access_denied" in denied["text"], [said, denied])


@case("another login's callback, of an app with a secret", red(python='"token": "czu_', js='"token": "czu_', go='"token": "czu_', java='"token": "czu_'))
def _(mock, program, language, how):
    world = World(mock)
    made = program.ask(how, world.base, "web_link")
    came = approved(world, made["url"])
    said = program.ask(how, world.base, "callback", {**came, "state": "of somebody else"})
    expect("token" not in said and "another login" in said["text"], said)
    said = program.ask(how, world.base, "callback", came)
    expect(said.get("token"), said)


@case("a callback in a session without a login", red(python='"token": "czu_', js='"token": "czu_', go='"token": "czu_', java='"token": "czu_'))
def _(mock, program, language, how):
    world = World(mock)
    made = program.ask(how, world.base, "web_link")
    came = {"code": approved(world, made["url"])["code"]}
    program.ask(how, world.base, "no_state")
    for query in [{**came, "state": ""}, came]:
        said = program.ask(how, world.base, "callback", query)
        expect("token" not in said and "another login" in said["text"], said)


ENDS = "a process that does not end"


def ends(binary, command, how):
    """Whether a Java program ends with its main, over TLS with HTTP/2."""
    with running_mock(binary, "--tls", "self") as info:
        base = json.loads(info)["base_url"]
        authority = BUILT / "ca.pem"
        store = BUILT / "ca.p12"
        with urllib.request.urlopen(f"{base}/_mock/v1/ca.pem", context=ssl._create_unverified_context()) as reply:
            authority.write_bytes(reply.read())
        store.unlink(missing_ok=True)
        tool = ["keytool", "-importcert", "-noprompt", "-alias", "a", "-file", authority, "-keystore", store]
        subprocess.run([*tool, "-storetype", "PKCS12", "-storepass", "changeit"], check=True, capture_output=True)
        trust = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]
        program = Program([command[0], *trust, *command[1:], "stay"])
        said = program.ask(how, base, "refresh", "rt1")
        program.process.stdin.close()
        try:
            program.process.wait(8)
        except subprocess.TimeoutExpired:
            raise Wrong("the process lives on") from None
        finally:
            program.end()
        expect(said.get("code") == "invalid_grant", said)


# --- the run -------------------------------------------------------------------------------------------


def judge(work, reason):
    """One case. `reason` is what must be seen without the page's lines; None where the SDK is right."""
    seen = "-"
    if reason is not None:
        try:
            work("sdk")
            return "FAIL", "the fault does not show without the page's lines"
        except Wrong as wrong:
            seen = str(wrong)
        if reason not in seen:
            return "FAIL", f"the fault shows otherwise than as {reason}: {seen}"
    try:
        work("page")
    except Wrong as wrong:
        return "FAIL", f"with the page's lines: {wrong}"
    return "ok", seen[:110]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--only", metavar="TEXT", default="", help="only cases or languages that have this text")
    given = parser.parse_args()
    rows, skipped = [], []
    try:
        binary = World.binary = find_mock(given.mock)
        BUILT.mkdir(parents=True, exist_ok=True)
        commands = {}
        for language, build in LANGUAGES.items():
            try:
                commands[language] = build()
            except Missing as why:
                skipped.append(f"{language} skipped: {why}")
        with running_mock(binary) as info:
            mock = json.loads(info)["base_url"]
            scratch = World(mock).base

            def of(job):
                language, cases = job
                programs, done = {}, []

                for name, red, _, slow, work in cases:

                    def run(how):
                        key = how if slow else ""
                        # Anew after one that had to be ended.
                        if key not in programs or programs[key].process.poll() is not None:
                            programs[key] = Program(commands[language])
                            programs[key].ask(how, scratch, "refresh", "rt1", within=120)  # it has started
                        try:
                            work(mock, programs[key], language, how)
                        finally:
                            World.close_all()

                    try:
                        verdict, seen = judge(run, red.get(language))
                    except Skipped as why:
                        verdict, seen = "skipped", str(why)
                    except (Broken, OSError, LookupError, TypeError, ValueError) as error:
                        verdict, seen = "FAIL", f"{type(error).__name__}: {error}"
                    done.append((name, language, verdict, seen))
                for program in programs.values():
                    program.end()
                return done

            # What waits in real time goes beside the rest, each on its own.
            jobs = []
            for language in commands:
                mine = [one for one in CASES if language in one[2] and given.only in f"{language} {one[0]}"]
                jobs += [(language, [one]) for one in mine if one[3]]
                jobs.append((language, [one for one in mine if not one[3]]))
            with ThreadPoolExecutor(len(jobs) + 1) as pool:
                ended = None
                if "java" in commands and given.only in f"java {ENDS}":
                    ended = pool.submit(judge, lambda how: ends(binary, commands["java"], how), "lives on")
                for done in pool.map(of, jobs):
                    rows += done
                rows += [(ENDS, "java", *ended.result())] if ended else []
    except (Trouble, Wrong, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    print("| case | SDK | | without the page's lines |\n|---|---|---|---|")
    order = [*(name for name, *_ in CASES), ENDS]
    for name, language, verdict, seen in sorted(rows, key=lambda row: (order.index(row[0]), list(LANGUAGES).index(row[1]))):
        print(f"| {name} | {language} | {verdict} | {seen} |".replace("\n", " "))
    wrong = sum(row[2] == "FAIL" for row in rows)
    skipped += [f"{name}, {language} skipped: {seen}" for name, language, verdict, seen in rows if verdict == "skipped"]
    print(f"\n{sum(row[2] == 'ok' for row in rows)} passed, {wrong} failed")
    print(*skipped, sep="\n")
    # CI skips nothing.
    return 1 if wrong or not rows or (skipped and os.environ.get("CI")) else 0


if __name__ == "__main__":
    sys.exit(main())
