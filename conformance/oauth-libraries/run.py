#!/usr/bin/env python3
"""Released OAuth libraries with Coze: as they are, by the recipes of docs/oauth-libraries.md, and through `coze-auth bridge`. A table, held against outcomes.md. See README.md."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "released-sdks"), str(HERE.parents[1] / "mock-server" / "tests" / "sdks")]
import board  # noqa: E402
import install  # noqa: E402
from install import EXE, TARGET, WORKSPACE, Missing, Trouble, page_files, without_proxy  # noqa: E402
from running_mock import clean, find_mock, running_mock  # noqa: E402

PAGE = WORKSPACE / "docs" / "oauth-libraries.md"
BUILT = TARGET / "oauth-libraries"
AS_IT_IS, _, BRIDGE = board.HOWS
CELLS = ["login", "profile", "refresh once", "refresh twice", "refusal's words"]
REDIRECT = "http://localhost:8080/callback"
LIFE = 900  # of an access token, in seconds (protocol §3.4)
WORDS = "the code was used already, said in 4711 words"
AT_ONCE = 2

# --- the libraries ---------------------------------------------------------------------------------------


def written(folder, language, *own, clock=("", "")):
    """The page's files in a language, and these of this folder, where a program can find them. Where the page asks the system for the time, its file asks the driver."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in page_files(PAGE, language).items():
        (folder / name).write_text(text.replace(*clock), encoding="utf-8")
    for name in own:
        shutil.copy(HERE / name, folder)
    return folder


def python(driver, *packages):
    """What starts a driver in Python, in an environment of its own with these packages."""

    def command():
        if sys.version_info < (3, 11):
            raise Missing("Python 3.11 or newer is needed, for the libraries and for time-machine")
        folder = BUILT / Path(driver).stem / "venv"
        interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / f"python{EXE}"
        pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "install", "-q", "time-machine==3.6.0", *packages]
        install.install(folder, [], [sys.executable, "-m", "venv", str(folder)], pip, tools=packages)
        return [str(interpreter), "-B", str(written(folder.parent, "python", "driver.py", driver) / driver)]

    return command


def js(driver, *packages, built=()):
    """What starts a driver in JavaScript, beside these packages of npm; `built` are those with a part in C."""

    def command():
        npm, node = shutil.which("npm"), shutil.which("node")
        if not npm or not node:
            raise Missing("node and npm are needed")
        folder = BUILT / Path(driver).stem
        add = [npm, "install", "--prefix", str(folder), "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *packages]
        builds = [[npm, "rebuild", "--prefix", str(folder), "--loglevel=error", *built]] if built else []
        install.install(folder, [], add, *builds, tools=packages)
        return [node, str(written(folder, "js", "driver.mjs", driver) / driver)]

    return command


def rust(driver):
    """What starts a driver in Rust, a package of its own, which takes nothing from the workspace but its target folder."""

    def command():
        cargo = shutil.which("cargo")
        if not cargo:
            raise Missing("cargo is needed, for the crate oauth2")
        name = Path(driver).stem
        folder = written(BUILT / name, "rust", driver, clock=("SystemTime::now()", "crate::now()"))
        for of, own in [("toml", "Cargo.toml"), ("lock", "Cargo.lock")]:
            shutil.copy(HERE / f"{name}.{of}", folder / own)
        build = [cargo, "build", "--quiet", "--locked", "--manifest-path", str(folder / "Cargo.toml"), "--target-dir", str(TARGET)]
        if subprocess.run(build, stdout=sys.stderr).returncode:
            raise Trouble(f"could not build {driver}")
        return [str(TARGET / "debug" / f"{name.replace('_', '-')}{EXE}")]

    return command


# What a driver in Go asks in the place of time.Now, in the library and in the recipe.
GO_CLOCK = """
import (
	"os"
	"strconv"
	"time"
)

func driversNow() time.Time {
	ahead, _ := strconv.Atoi(os.Getenv("AHEAD_S"))
	return time.Now().Add(time.Duration(ahead) * time.Second)
}
"""


def go(driver, module):
    """What starts a driver in Go. The module is what go.sum knows, in a copy whose calls of time.Now lead to the driver."""

    def command():
        tool, _, environment = install.go()
        folder = written(BUILT / Path(driver).stem, "go", driver, "go.mod", "go.sum", clock=("time.Now()", "driversNow()"))
        for name in page_files(PAGE, "go"):
            text = (folder / name).read_text(encoding="utf-8")
            (folder / name).write_text(text.replace('\t"time"\n', ""), encoding="utf-8")
        (folder / "clock.go").write_text(f"package main\n{GO_CLOCK}", encoding="utf-8")
        told = subprocess.run([tool, "mod", "download", "-json", module], cwd=folder, env=environment, stdout=subprocess.PIPE)
        if told.returncode:
            raise Trouble(f"could not install {module}")
        copy = folder / "library"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(json.loads(told.stdout)["Dir"], copy, copy_function=shutil.copyfile)
        for package, below in [("oauth2", copy), ("internal", copy / "internal")]:
            (below / "drivers_clock.go").write_text(f"package {package}\n{GO_CLOCK}", encoding="utf-8")
            text = (below / "token.go").read_text(encoding="utf-8")
            if "time.Now" not in text:
                raise Trouble(f"{module} does not ask for the time in {package}'s token.go: see where it does now")
            (below / "token.go").write_text(text.replace("time.Now", "driversNow"), encoding="utf-8")
        with (folder / "go.mod").open("a", encoding="utf-8") as text:
            text.write(f"\nreplace {module} => ./library\n")
        build = [tool, "build", "-o", f"driver{EXE}", "."]
        if subprocess.run(build, cwd=folder, env=environment, stdout=sys.stderr).returncode:
            raise Trouble(f"could not build {driver}")
        return [str(folder / f"driver{EXE}")]

    return command


def java(driver, name):
    """What starts a driver in Java, which has several libraries: `name` is the one."""

    def command():
        clock = ("System.currentTimeMillis()", "Driver.now()")
        folder = written(BUILT / "java", "java", driver, clock=clock)
        sources = [folder / driver, *(folder / file for file in page_files(PAGE, "java"))]
        return [*install.java_program("oauth-libraries", sources, HERE / "pom.xml"), Path(driver).stem, name]

    return command


def initdb():
    """That of Debian's newest Postgres, or the one on the path."""
    found = [shutil.which("initdb"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True))]
    if not any(found):
        raise Missing("initdb is needed (apt-get install postgresql)")
    return str(Path(next(filter(None, found))).resolve())  # the other programs stand beside it


@contextmanager
def postgres():
    """A server of Postgres on a socket of its own: the variables by which a client finds it."""
    # It refuses to run as root.
    aside = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        made = [*aside, initdb(), "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D", f"{folder}/data"]
        if subprocess.run(made, cwd=folder, stdout=subprocess.DEVNULL).returncode:
            raise Trouble("initdb did not make a database")
        serve = [*aside, str(Path(initdb()).with_name("postgres")), "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses="]
        server = subprocess.Popen(serve, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            ask = [str(Path(initdb()).with_name("pg_isready")), "--quiet", "--host", folder]
            while subprocess.run(ask).returncode:
                if time.monotonic() > end:
                    raise Trouble("Postgres does not start")
                time.sleep(0.05)
            yield {"PGHOST": folder, "PGUSER": "postgres", "PGDATABASE": "postgres"}
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


# Its name and version, what gives the command that starts its driver, whether CI runs it, and whether it needs Postgres.
Library = namedtuple("Library", "name version command is_quick on_postgres", defaults=[False])
AUTHJS = ["@auth/core@0.41.3", "@auth/drizzle-adapter@1.11.3", "drizzle-orm@0.45.4", "pg@8.23.1"]
LIBRARIES = [
    Library("Authlib", "1.9.10", python("authlib_driver.py", "Authlib==1.9.10", "requests==2.34.2"), True),
    Library("requests-oauthlib", "2.0.0", python("requests_oauthlib_driver.py", "requests-oauthlib==2.0.0", "oauthlib==4.0.1"), False),
    Library("requests-oauth2client", "1.8.0", python("requests_oauth2client_driver.py", "requests-oauth2client==1.8.0"), False),
    Library("httpx-oauth", "0.17.0", python("httpx_oauth_driver.py", "httpx-oauth==0.17.0"), False),
    Library("openid-client", "6.9.0", js("openid_client_driver.mjs", "openid-client@6.9.0"), True),
    Library("oauth4webapi", "3.8.8", js("oauth4webapi_driver.mjs", "oauth4webapi@3.8.8"), False),
    Library("simple-oauth2", "5.1.0", js("simple_oauth2_driver.mjs", "simple-oauth2@5.1.0"), False),
    Library("@badgateway/oauth2-client", "3.3.1", js("badgateway_driver.mjs", "@badgateway/oauth2-client@3.3.1"), False),
    Library("arctic", "3.7.0", js("arctic_driver.mjs", "arctic@3.7.0"), False),
    Library("@n8n/client-oauth2", "1.23.1", js("n8n_driver.mjs", "@n8n/client-oauth2@1.23.1"), False),
    Library("@auth/core", "0.41.3", js("authjs_driver.mjs", *AUTHJS), False, True),
    Library(
        "better-auth", "1.7.25", js("better_auth_driver.mjs", "better-auth@1.7.25", "better-sqlite3@12.11.1", built=["better-sqlite3"]), False
    ),
    Library("passport-oauth2", "1.8.0", js("passport_driver.mjs", "passport-oauth2@1.8.0"), False),
    Library("oauth2 of crates.io", "5.0.0", rust("oauth2_driver.rs"), True),
    Library("golang.org/x/oauth2", "0.38.0", go("x_oauth2_driver.go", "golang.org/x/oauth2"), True),
    Library("ScribeJava", "8.3.3", java("Driver.java", "ScribeJava"), True),
    Library("Nimbus oauth2-oidc-sdk", "11.39", java("Driver.java", "Nimbus"), False),
]


NOTHING = "JSON object. For a program that cannot"  # of a library that sends no User-Agent
# What `explain` has to tell of a library as it is: a setting of its own, as far as the User-Agent gives it away.
EXPLAINED = {
    "Authlib": "If it is Authlib, set token_endpoint_auth_method",
    "requests-oauthlib": "for any other mount an adapter of requests",
    "requests-oauth2client": "for any other mount an adapter of requests",
    "httpx-oauth": "if it is httpx-oauth, do so in build_request",
    "openid-client": "of openid-client: Give it a ClientAuth function",
    "oauth4webapi": "of oauth4webapi, over which Auth.js sends, too: Give its [customFetch]",
    "simple-oauth2": NOTHING,
    "@badgateway/oauth2-client": "If it is @badgateway/oauth2-client, set `fetch`",
    "arctic": "of arctic: It has no setting",
    "@n8n/client-oauth2": "If it is @n8n/client-oauth2, override accessTokenRequest",
    "@auth/core": "over which Auth.js sends, too: Give its [customFetch] (of Auth.js: the provider's)",
    "better-auth": "if it is better-auth, `getToken`",
    "passport-oauth2": "If it is passport-oauth2, give the strategy's _oauth2",
    "oauth2 of crates.io": NOTHING,
    "golang.org/x/oauth2": "If it is one over golang.org/x/oauth2, put an http.Client into the context",
    "ScribeJava": "If it is ScribeJava, give it a service that overrides",
    "Nimbus oauth2-oidc-sdk": "if it is Nimbus, change the HTTPRequest",
}


@contextmanager
def databases(libraries):
    """What the libraries that are there need besides the mock."""
    with postgres() if any(library.on_postgres for library in libraries) else nullcontext({}) as variables:
        yield variables


class Driver:
    """A running driver: a line of JSON is asked, a line is answered (README.md)."""

    def __init__(self, command, environment):
        self._log = tempfile.TemporaryFile()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._log}
        self._process = subprocess.Popen(command, **pipes, text=True, env=without_proxy(NO_PROXY="*", **environment))

    def ask(self, do, **given):
        alarm = threading.Timer(60, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
            said = self._process.stdout.readline()
        finally:
            alarm.cancel()
        if not said:
            self._log.seek(0)
            raise Trouble(f"the driver ended at {do}:\n{self._log.read().decode(errors='replace')[-2000:]}")
        return json.loads(said)

    def end(self):
        self._process.kill()
        self._process.wait()


# --- the mock, and the bridge before it ------------------------------------------------------------------


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)


def call(url, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with DIRECT.open(request, timeout=30) as reply:
        return json.loads(reply.read() or "null")


def find_bridge(given):
    if given:
        return Path(given).resolve()
    if subprocess.run(["cargo", "build", "--locked", "-p", "coze-auth-cli"], cwd=WORKSPACE).returncode:
        raise Trouble("the bridge does not build")
    return TARGET / "debug" / f"coze-auth{EXE}"


@contextmanager
def bridge(binary, base):
    """A bridge before this mock: what a library is told of it, by its metadata (RFC 8414). It writes no secret to its log."""
    environment = {**clean(), "COZE_API_BASE": base, "COZE_WWW_BASE": base}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(binary), "bridge", "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, stderr=log, env=environment
        )
        alarm = threading.Timer(20, process.kill)
        alarm.start()
        try:
            line = process.stdout.readline()
            alarm.cancel()
            if not line:
                log.seek(0)
                raise Trouble(f"the bridge did not start: {log.read().decode(errors='replace')[-1000:]}")
            issuer = json.loads(line)["issuer"]
            found = call(f"{issuer}/.well-known/oauth-authorization-server")
            names = {"authorize": "authorization_endpoint", "token": "token_endpoint", "profile": "userinfo_endpoint"}
            yield {"issuer": issuer, **{ours: found[theirs] for ours, theirs in names.items()}}
        finally:
            alarm.cancel()
            process.kill()
            process.wait()
            process.stdout.close()


class World:
    """A world of the mock at the root of a port of its own, since a base has no path everywhere."""

    def __init__(self, mock, name):
        self.base = call(f"{mock}/_mock/v1/worlds", {"name": name, "port": 0})["port_url"]
        app = next(app for app in self.control("/info")["apps"] if app["kind"] == "web")
        self.client = {"client_id": app["client_id"], "client_secret": app["client_secret"]}

    def control(self, path, body=None, method=None):
        return call(f"{self.base}/_mock/v1{path}", body, method)

    def token_requests(self, grant):
        """Oldest first."""
        found = self.control(f"/requests?endpoint=token&grant={grant}")["requests"]
        return sorted(found, key=lambda entry: entry["seq"])

    def last_refusal(self):
        """The rule by which the last token request was refused, and what `explain` tells about mending it."""
        found = sorted(self.control("/requests?endpoint=token")["requests"], key=lambda entry: entry["seq"])
        rule = found and found[-1]["outcome"].get("rule")
        return rule, rule and self.control(f"/explain/{found[-1]['outcome']['logid']}")["fix"]

    def direct(self):
        """What a library is told of Coze."""
        oauth = f"{self.base}/api/permission/oauth2"
        return {"issuer": self.base, "authorize": f"{oauth}/authorize", "token": f"{oauth}/token", "profile": f"{self.base}/v1/users/me"}

    def approve(self, url):
        """What a browser does with the link of a login: the redirect back to the program."""
        if not url.startswith(f"{self.base}/"):
            try:
                with DIRECT.open(url, timeout=30) as reply:
                    raise Trouble(f"the link of a login does not lead on: {reply.status}")
            except urllib.error.HTTPError as reply:
                with reply:
                    if reply.code not in (302, 303):
                        raise Trouble(f"the link of a login does not lead on: {reply.code} {reply.read()[:500]}")
                    url = reply.headers["location"]
        return self.control("/authorize", {"url": url, "action": "approve"})["redirect"]


# --- the cells -------------------------------------------------------------------------------------------


NAMES = {"alice", "Alice"}  # of the mock's user: the name of its account, and the one that people see


def of_call(said):
    """How a call of the API went."""
    if "name" not in said:
        return f"fails: {said.get('type')}"
    return "pass" if said["name"] in NAMES else f"names {said['name']}"


def cells(name, driver, world, how, told):
    """The five outcomes of a library, each `pass` or why not."""
    begin = {"how": how, **told, **world.client, "redirect_uri": REDIRECT}

    def login():
        began = driver.ask("begin", **begin)
        return driver.ask("callback", url=world.approve(began["url"])) if "url" in began else began

    outcomes = {}
    said = login()
    if said.get("type") == "no hook":
        return ["no hook"] * len(CELLS)
    granted = [entry for entry in world.token_requests("authorization_code") if entry["outcome"]["status"] == 200]
    if said.get("token") and len(granted) == 1:
        outcomes["login"] = "pass"
        outcomes.update(after_login(driver, world))
    else:
        rule, fix = world.last_refusal()
        outcomes["login"] = f"refused: {rule}" if rule else f"fails: {said.get('type')}"
        if how == AS_IT_IS and rule and EXPLAINED[name] not in fix:
            outcomes["login"] += f", and explain does not say {EXPLAINED[name]}: {fix}"
    refusal = json.dumps({"error_code": "invalid_grant", "error_message": WORDS, "error": "invalid_grant"})
    fault = {"kind": "status", "status": 400, "body": refusal}
    world.control("/faults", {"on": {"endpoint": "token"}, "fault": fault})
    said = login()
    if said.get("token"):
        outcomes["refusal's words"] = "taken for a token"
    else:
        # The bridge tells with Coze's words the log id, which Coze's support asks for.
        told = WORDS in said["error"] and (how != BRIDGE or re.search(r"\d{14}MOCK\d+", said["error"]))
        outcomes["refusal's words"] = "pass" if told else "lost"
    return [outcomes.get(cell, "no login") for cell in CELLS]


def after_login(driver, world):
    said = driver.ask("profile")
    yield "profile", of_call(said)
    now = 0

    def after(seconds):
        """So much later a call of the API, as a program makes it: how it went, and how many renewals there were."""
        nonlocal now
        now += seconds
        world.control("/clock", {"advance_ms": seconds * 1000})
        driver.ask("clock", seconds=now)
        said = driver.ask("profile")
        return said, [entry["outcome"] for entry in world.token_requests("refresh_token")]

    for times, cell in [(1, "refresh once"), (2, "refresh twice")]:
        # The end has not come: nothing is to be renewed.
        said, renewals = after(LIFE - 300)
        if len(renewals) >= times:
            yield cell, "before the end"
            continue
        said, renewals = after(301)
        if len(renewals) < times:
            yield cell, "none"
        elif len(renewals) > times:
            yield cell, "too many"
        elif renewals[-1]["status"] != 200:
            yield cell, f"refused: {renewals[-1].get('rule')}"
        else:
            yield cell, of_call(said)


# --- the run ---------------------------------------------------------------------------------------------


def table(rows):
    heads = ["library", "how", *CELLS]
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--bridge", metavar="PATH", help="binary of `coze-auth` with the bridge; built with cargo if not given")
    parser.add_argument("--quick", action="store_true", help="only the libraries that CI runs")
    parser.add_argument("--only", metavar="TEXT", default="", help="only libraries whose name has this text")
    given = parser.parse_args()
    chosen = [one for one in LIBRARIES if given.only.lower() in one.name.lower() and (one.is_quick or not given.quick)]
    skipped, broken, found = [], [], {}
    try:
        BUILT.mkdir(parents=True, exist_ok=True)
        mock, through = find_mock(given.mock), find_bridge(given.bridge)
        ready, began = {}, time.monotonic()
        for library in chosen:
            try:
                if library.on_postgres:
                    initdb()
                ready[library] = library.command()
            except Missing as why:
                skipped.append(f"{library.name}: {why}")
        installed = time.monotonic()
        with running_mock(mock) as line, databases(ready) as database:
            info = json.loads(line)

            def run(job):
                library, how = job
                world = World(info["base_url"], re.sub(r"\W", "", f"{library.name}{how}"))
                driver = Driver(ready[library], database if library.on_postgres else {})
                try:
                    with bridge(through, world.base) if how == BRIDGE else nullcontext(world.direct()) as told:
                        return [f"{library.name} {library.version}", how, *cells(library.name, driver, world, how, told)]
                except (Trouble, OSError, ValueError, LookupError) as why:
                    return [f"{library.name} {library.version}", how, *["no verdict"] * len(CELLS), f"{type(why).__name__}: {why}"]
                finally:
                    driver.end()

            jobs = [(library, how) for library in ready for how in board.HOWS]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for name, how, *outcomes in pool.map(run, jobs):
                    found[name, how] = [name, how, *outcomes[: len(CELLS)]]
                    broken += [f"{name}, {how}: {why}" for why in outcomes[len(CELLS) :]]
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    before = board.rows() if board.OUTCOMES.exists() else {}
    if os.environ.get("UPDATE"):
        order = [(f"{library.name} {library.version}", how) for library in LIBRARIES for how in board.HOWS]
        before = {key: {**before, **found}[key] for key in order if key in before or key in found}
        board.OUTCOMES.write_text(table(before.values()), encoding="utf-8")
        board.write()
    print(table(found.values()))
    changed = 0
    for key, row in found.items():
        if row != before.get(key):
            changed += 1
            print(f"not as in outcomes.md:\n  held  {before.get(key)}\n  found {row}")
    for (name, how), row in found.items():
        if how == BRIDGE and set(row[2:]) != {"pass"}:
            changed += 1
            print(f"{name} does not pass through the bridge")
    if not board.is_held():
        changed += 1
        print("docs/scoreboard.md has another table of OAuth libraries than outcomes.md makes: UPDATE=1 just bridge writes it")
    print(*(f"skipped: {why}" for why in skipped), *(f"no verdict: {why}" for why in broken), sep="\n")
    print(f"{len(found)} rows, {changed} of them wrong; {installed - began:.0f} s to install, {time.monotonic() - installed:.0f} s to run")
    # CI skips nothing.
    return 1 if changed or not found or (skipped and os.environ.get("CI")) else 0


if __name__ == "__main__":
    sys.exit(main())
