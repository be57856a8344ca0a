#!/usr/bin/env python3
"""What `coze-auth-mock env` prints, run in a shell with the released clients, and flows of theirs. See README.md; `run.py --help` for the options."""

import argparse
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import traceback
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdks"))
from running_mock import TARGET, WORKSPACE, Trouble, clean, running_mock  # noqa: E402
import install  # noqa: E402

BUILT = TARGET / "env"
STEP_SECONDS = 300  # a first build of Go's standard library, on a busy machine
KINDS = ["web", "pkce", "device", "jwt"]
HERE_DOCUMENT = re.compile(r"^: <<'([A-Z]+)'\n(.*?)^\1$", re.S | re.M)
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Wrong(Exception):
    """A client, or the mock, did something else than it should."""


def control(base, path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{base}/_mock/v1{path}", data, headers, method=method)
    with DIRECT.open(request, timeout=30) as reply:
        return json.loads(reply.read())


def run(command, **options):
    """Standard output of a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS, **options)
    if done.returncode:
        raise Wrong(f"exit status {done.returncode} of {command[0]}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


# --- tools -------------------------------------------------------------------------------------------

class Tools:
    """The clients, each installed at its first use, at once for those that wait for it."""

    def __init__(self, rlib):
        self.rlib = rlib
        self._known = {}
        self._locks = {}
        self._lock = threading.Lock()

    def get(self, name):
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._known:
                try:
                    self._known[name] = getattr(self, f"_{name}")()
                except Trouble as trouble:
                    self._known[name] = trouble
        if isinstance(self._known[name], Trouble):
            raise self._known[name]
        return self._known[name]

    def _python(self):
        return [str(install.cozepy()), "-B"]

    def _js(self):
        return ["node"], install.coze_api()

    def _go(self):
        return install.go()

    def _coze(self):
        return install.java("coze")

    def _loop(self):
        return install.java("loop")

    def go_build(self, name, text):
        tool, folder, environment = self.get("go")
        source = folder / name
        source.mkdir(exist_ok=True)
        (source / "main.go").write_text(text, encoding="utf-8")
        program = BUILT / name
        run([tool, "build", "-o", str(program), f"./{name}"], cwd=folder, env=environment)
        return [str(program)]

    def javac(self, which, text):
        java, javac, libraries = self.get(which)
        (name,) = re.findall(r"public class (\w+)", text)
        classes = BUILT / "classes" / name
        classes.mkdir(parents=True, exist_ok=True)
        (classes / f"{name}.java").write_text(text, encoding="utf-8")
        run([javac, "-cp", libraries, "-d", str(classes), str(classes / f"{name}.java")])
        # A short life is not worth the second compiler.
        return [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{libraries}{os.pathsep}{classes}", name]

    def rustc(self, name, text):
        source, program = BUILT / f"{name}.rs", BUILT / name
        source.write_text(text, encoding="utf-8")
        libraries = [f"-Ldependency={self.rlib.parent}", "--extern", f"coze_auth={self.rlib}"]
        run(["rustc", "--edition", "2024", "-o", str(program), *libraries, str(source)])
        return [str(program)]

    def file(self, name, text):
        """A program that needs no compiler; `node` finds packages beside the file."""
        folder = BUILT
        if name.endswith(".mjs"):
            folder = self.get("js")[1]
        (folder / name).write_text(text, encoding="utf-8")
        return str(folder / name)


# --- rows --------------------------------------------------------------------------------------------

ROWS = []  # (client, what, the work, which gives what was seen)


def row(client, what):
    return lambda work: ROWS.append((client, what, work))


class Site:
    """The mock, and worlds of it that nobody else uses."""

    def __init__(self, mock, base, tools):
        self.mock, self.base, self.tools = mock, base, tools
        self._names = itertools.count()

    def env(self, *arguments, base=None):
        return run([str(self.mock), "env", "--url", base or self.base, *arguments], env=clean())

    def world(self):
        return f"w{next(self._names)}"


def in_shell(printed, command, **options):
    """Runs the command in a shell that has evaluated what was printed, as people write it."""
    script = 'eval "$1"; shift; exec "$@"'
    return ["sh", "-eu", "-c", script, "sh", printed, *command], {"env": clean(), **options}


def program_of(printed):
    found = HERE_DOCUMENT.search(printed)
    if not found:
        raise Wrong("no program in what was printed")
    return found[2]


def saw(base, *expected):
    """The journal of a world: these entries, each as endpoint, grant and status, and nothing that was refused besides."""
    entries = control(base, "/requests")["requests"]
    seen = [(one["endpoint"], one.get("grant"), one["outcome"]["status"]) for one in entries]
    for one in expected:
        if one not in seen:
            raise Wrong(f"no request {one}, but {seen}")
    return seen


def grant(name):
    return ("token", name, 200)


ME = ("users_me", None, 200)


def programs(client, build):
    """The row of `env --for CLIENT`: its own program, in a world of its own."""

    @row(client, f"env --for {client}")
    def work(site):
        world = site.world()
        printed = site.env("--world", world, "--for", client)
        command, options = in_shell(printed, build(site.tools, program_of(printed)))
        said = run(command, **options).strip().splitlines()
        base = f"{site.base}/t/{world}"
        seen = saw(base, grant("jwt_bearer"))
        if client.startswith("loop-"):
            spans = [one for one in control(base, "/requests")["requests"] if one["path"].startswith("/v1/loop/")]
            if not spans or "authorization" not in spans[0]["headers"]:
                raise Wrong(f"no span with a token, but {seen}")
            return f"token, {spans[0]['path']} with it"
        # coze-java has no call for `users/me`.
        call, name = ("workspaces", "ws_a") if client == "java" else ("users_me", "alice")
        saw(base, (call, None, 200))
        if said[-1:] != [name]:
            raise Wrong(f"it said {said}")
        return f"token, {call}: {name}"


programs("python", lambda tools, text: [*tools.get("python"), tools.file("coze.py", text)])
programs("js", lambda tools, text: [*tools.get("js")[0], tools.file("coze.mjs", text)])
programs("go", lambda tools, text: tools.go_build("coze", text))
programs("java", lambda tools, text: tools.javac("coze", text))
programs("rust", lambda tools, text: tools.rustc("coze-rust", text))
programs("loop-python", lambda tools, text: [*tools.get("python"), tools.file("loop.py", text)])
programs("loop-go", lambda tools, text: tools.go_build("loop", text))
programs("loop-java", lambda tools, text: tools.javac("loop", text))


@row("workload-python", "env --for workload-python")
def _(site):
    # The world's port, so that the client's three URLs are those of the world.
    world = site.world()
    printed = site.env("--world", world, "--for", "workload-python")
    command, options = in_shell(printed, [*site.tools.get("python"), site.tools.file("workload.py", program_of(printed))])
    said = run(command, **options).split()
    base = f"{site.base}/t/{world}"
    saw(base, *(("workload_token", name, 200) for name in ("client_credentials", "token_exchange")))
    saw(base, ("integration", None, 200), ("project_env", None, 200))
    if said != ["mock_feishu_tenant_token", "COZE_BUCKET_NAME", "PGDATABASE_URL", "GREETING"]:
        raise Wrong(f"it said {said}")
    return "token, integration, project_env"


@row("rust", "env --for rust, http:// of another name")
def _(site):
    # Connections to it lead to this machine, and the client cannot know that.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = f"http://0.0.0.0:{port}"
    with running_mock(site.mock, "--public-url", public, listen=f"127.0.0.1:{port}"):
        base = f"http://127.0.0.1:{port}"
        printed = site.env("--for", "rust", base=base)
        if public not in printed:
            raise Wrong(f"{public} is not what was printed")
        command, options = in_shell(printed, site.tools.rustc("coze-rust-http", program_of(printed)))
        said = run(command, **options).strip()
        saw(base, grant("jwt_bearer"), ME)
        if said != "alice":
            raise Wrong(f"it said {said}")
    return "token, users_me: alice"


@row("shell", "env --for shell")
def _(site):
    printed = site.env("--for", "shell")
    curl = 'curl -fsS -H "Authorization: Bearer $COZE_API_TOKEN" "$COZE_API_BASE/v1/users/me"'
    command, options = in_shell(printed, ["sh", "-c", curl])
    name = json.loads(run(command, **options))["data"]["user_name"]
    if name != "alice":
        raise Wrong(f"it is {name}")
    return "users_me: alice"


def person(bases, child):
    """Does what a flow asks its person to do, in whichever of these worlds it is, until it ends. Gives its last words."""
    done = []
    for line in child.stdout:
        word, _, rest = line.strip().partition(" ")
        if word in ("OPEN", "BROWSE"):
            back = somewhere(bases, "/authorize", {"url": rest, "action": "approve"}, rest)["redirect"]
            answer = back if word == "BROWSE" else parse_qs(urlsplit(back).query)["code"][0]
        elif word == "DEVICE":
            somewhere(bases, f"/device/{rest}", {"action": "approve"}, rest)
            answer = "approved"
        else:
            done.append(rest if word == "DONE" else f"? {line.strip()}")
            continue
        child.stdin.write(answer + "\n")
        child.stdin.flush()
    return done


def somewhere(bases, path, body, what):
    """The answer of the one world that takes this."""
    urls = [base for base in bases if what.startswith("http") and what.startswith(port_of(base))]
    for base in urls or bases:
        try:
            return control(base, path, body)
        except urllib.error.HTTPError:
            continue
    raise Wrong(f"no world takes {what}")


def port_of(base):
    """The URL of a world's own port."""
    return control(base, "/port", {"port": 0}, "PUT")["port_url"]


def flows(client, command, bases, kinds, **options):
    """Runs a program of flows; gives what it said at the end of each."""
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    errors = []
    reader = threading.Thread(target=lambda: errors.append(child.stderr.read()))
    reader.start()
    alarm = threading.Timer(STEP_SECONDS, child.kill)
    alarm.start()
    try:
        done = person(bases, child)
    finally:
        alarm.cancel()
        child.stdin.close()
        status = child.wait()
        reader.join()
    if status or [one.split()[0] for one in done if not one.startswith("?")] != kinds:
        raise Wrong(f"{client} ended with {status} after {done}: {errors[0].strip()[-600:]}")
    return done


EXPECTED = {
    "web": [grant("authorization_code"), grant("refresh_token")],
    "pkce": [grant("authorization_code"), grant("refresh_token")],
    "device": [("device_code", None, 200), grant("device_code"), grant("refresh_token")],
    "jwt": [grant("jwt_bearer")],
}
DRIVERS = {
    "python": lambda tools: [*tools.get("python"), str(HERE / "flows.py")],
    "js": lambda tools: [*tools.get("js")[0], str(HERE / "flows.mjs")],
    "go": lambda tools: tools.go_build("flows", (HERE / "flows.go").read_text(encoding="utf-8")),
    "java": lambda tools: tools.javac("coze", (HERE / "Flows.java").read_text(encoding="utf-8")),
    "rust": lambda tools: tools.rustc("flows-rust", (HERE / "flows.rs").read_text(encoding="utf-8")),
}


def driver(tools, client):
    """The program of a client's flows, built once."""
    with tools._lock:
        lock = tools._locks.setdefault(f"driver {client}", threading.Lock())
    with lock:
        if ("driver", client) not in tools._known:
            tools._known["driver", client] = DRIVERS[client](tools)
        return tools._known["driver", client]


def variables_row(client, kind):
    """A flow over Coze's variables, in a world with a port of its own."""

    @row(client, f"{kind}, variables")
    def work(site):
        world = site.world()
        printed = site.env("--world", world, "--for", client)
        command, options = in_shell(printed, [*driver(site.tools, client), kind, "-"])
        (done,) = flows(client, command, [f"{site.base}/t/{world}"], [kind], **options)
        return judged(f"{site.base}/t/{world}", client, kind, done)


def config_row(client):
    """Each kind of coze_oauth_config.json, in a world with a port of its own; one process for all."""

    @row(client, "each kind, coze_oauth_config.json")
    def work(site):
        arguments, bases = [], {}
        for kind in KINDS:
            world = site.world()
            path = BUILT / f"{client}-{kind}-coze_oauth_config.json"
            path.write_text(site.env("--world", world, "--config", kind), encoding="utf-8")
            arguments += [kind, str(path)]
            bases[kind] = f"{site.base}/t/{world}"
        more = {"RELEASED_SDKS_NPM": str(site.tools.get("js")[1])} if client == "js" else {}
        command = [*driver(site.tools, client), *arguments]
        done = flows(client, command, list(bases.values()), KINDS, env=clean(**more))
        return "; ".join(judged(bases[kind], client, kind, said) for kind, said in zip(KINDS, done))


def judged(base, client, kind, done):
    """The journal has the flow and the call of the API, and refused nothing."""
    call = API_CALL[client]
    seen = saw(base, *EXPECTED[kind], (call[0], None, 200))
    refused = [one for one in seen if one[2] >= 400]
    if refused or done != f"{kind} {call[1]}":
        raise Wrong(f"{kind}: it said {done!r}, and {refused} were refused of {seen}")
    return f"{kind} ({len(seen)} requests, {call[0]})"


# What each driver calls with the token, and what it says then.
API_CALL = {
    "python": ("users_me", "alice"),
    "js": ("users_me", "alice"),
    "go": ("workspaces", "ws_a"),
    "java": ("workspaces", "ws_a"),
    "rust": ("users_me", "alice"),
}

for _client in ("go", "java"):
    for _kind in KINDS:
        variables_row(_client, _kind)
for _client in DRIVERS:
    config_row(_client)


def fixture_row(client, fence):
    """The README's fixture of a language, as it stands there."""

    @row(client, "the fixture of the README")
    def work(site):
        readme = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
        section = readme.split("\n## In a test of any language\n")[1].split("\n## ")[0]
        text = re.search(rf"^```{fence}\n(.*?)^```$", section, re.S | re.M)[1]
        base = FIXTURES[client](site, text)
        if not base.startswith("http://127.0.0.1:"):
            raise Wrong(f"its base is {base}")
        try:
            control(base, "/health")
        except OSError:
            return "started, and ended with its test"
        raise Wrong("the mock lives on")


def on_path(site):
    """The environment in which the command is found, as it is when it was installed."""
    return clean(PATH=f"{site.mock.parent}{os.pathsep}{os.environ['PATH']}")


def python_fixture(site, text):
    # The fixture of pytest is a function that yields, and nothing of pytest is needed to run it.
    text = text.replace("import pytest\n", "").replace('@pytest.fixture(scope="session")\n', "")
    text += "\nrun = coze()\ninfo = next(run)\nprint(info['base_url'])\nfor _ in run:\n    pass\n"
    command = [*site.tools.get("python"), site.tools.file("fixture.py", text)]
    return run(command, env=on_path(site)).strip()


def js_fixture(site, text):
    text += "\nconst mock = await startMock()\nconsole.log(mock.base_url)\nmock.stop()\n"
    command = [*site.tools.get("js")[0], site.tools.file("fixture.mjs", text)]
    return run(command, env=on_path(site)).strip()


def go_fixture(site, text):
    tool, folder, environment = site.tools.get("go")
    (folder / "fixture").mkdir(exist_ok=True)
    text += '\nfunc TestFixture(t *testing.T) { t.Log("base " + startMock(t)) }\n'
    (folder / "fixture" / "coze_test.go").write_text(text, encoding="utf-8")
    environment = {**environment, "PATH": on_path(site)["PATH"]}
    done = subprocess.run(
        [tool, "test", "-v", "-count=1", "./fixture"], cwd=folder, env=environment, capture_output=True, text=True
    )
    found = re.search(r"base (\S+)", done.stderr + done.stdout)
    if done.returncode or not found:
        raise Wrong((done.stdout + done.stderr)[-600:])
    return found[1]


def java_fixture(site, text):
    text = text.replace(
        "  public CozeMock() throws Exception {}\n",
        "  public CozeMock() throws Exception {}\n"
        "  public static void main(String[] args) throws Exception {\n"
        "    try (CozeMock mock = new CozeMock()) {\n"
        '      System.out.println(mock.info.get("base_url").asText());\n'
        "    }\n  }\n",
    )
    return run(site.tools.javac("coze", text), env=on_path(site)).strip()


FIXTURES = {"python": python_fixture, "js": js_fixture, "go": go_fixture, "java": java_fixture}
for _client, _fence in (("python", "python"), ("js", "js"), ("go", "go"), ("java", "java")):
    fixture_row(_client, _fence)


# --- the run -----------------------------------------------------------------------------------------


def build_mock():
    """The mock, and the library `coze-auth` that a program in Rust is compiled with: as `just browser` builds them."""
    command = ["cargo", "build", "--quiet", "--locked", "-p", "coze-auth-cli", "-p", "coze-auth-mock"]
    done = subprocess.run([*command, "--message-format=json"], cwd=WORKSPACE, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Trouble("the mock does not build")
    mock = rlib = None
    for line in done.stdout.splitlines():
        artifact = json.loads(line)
        name = artifact.get("target", {}).get("name")
        files = artifact.get("filenames", [])
        if name == "coze-auth-mock" and artifact.get("executable"):
            mock = Path(artifact["executable"])
        if name == "coze_auth":
            rlib = next((Path(file) for file in files if file.endswith(".rlib")), rlib)
    if not mock or not rlib:
        raise Trouble("cargo did not tell where the mock and coze-auth are")
    return mock, rlib


def judge(site, client, what, work):
    try:
        return client, what, "ok", work(site)
    except Trouble as trouble:
        return client, what, "skipped", str(trouble)
    except Wrong as wrong:
        return client, what, "FAIL", str(wrong)
    except Exception:
        return client, what, "FAIL", traceback.format_exc()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="only the rows whose client or name has this text")
    given = parser.parse_args()
    try:
        mock, rlib = build_mock()
        BUILT.mkdir(exist_ok=True)
        chosen = [one for one in ROWS if (given.only or "") in f"{one[0]} {one[1]}"]
        with running_mock(mock) as info:
            site = Site(mock, json.loads(info)["base_url"], Tools(rlib))
            with ThreadPoolExecutor(4) as pool:
                done = list(pool.map(lambda one: judge(site, *one), chosen))
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    print("| client | what | | seen |\n|---|---|---|---|")
    for client, what, verdict, seen in done:
        lines = seen.strip().splitlines() or [""]
        print(f"| {client} | {what} | {verdict} | {lines[-1] if verdict == 'ok' else ' '.join(lines)} |")
    counts = {verdict: sum(one[2] == verdict for one in done) for verdict in ("ok", "FAIL", "skipped")}
    print(f"\n{counts['ok']} passed, {counts['FAIL']} failed, {counts['skipped']} skipped")
    for reason in sorted({one[3] for one in done if one[2] == "skipped"}):
        print(f"skipped: {reason}")
    # CI skips nothing.
    return 1 if counts["FAIL"] or (counts["skipped"] and os.environ.get("CI")) else 0


if __name__ == "__main__":
    sys.exit(main())
