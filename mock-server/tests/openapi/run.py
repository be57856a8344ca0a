#!/usr/bin/env python3
"""The OpenAPI document of the mock is valid, and the mock does what it says.

Installs a validator and schemathesis, starts the mock, runs each flow once, and lets the fuzzer at the data plane and
then at the control plane. Exit status 1 for a finding, 2 if the run could not be made.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import urlsafe_b64encode
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[2]
OUT = Path(os.environ.get("CARGO_TARGET_DIR") or WORKSPACE / "target").resolve() / "openapi"
VENV = OUT / "venv" / ("Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
# As in schemathesis.toml.
ADMIN = "admin-of-the-fuzzer"
DATA_PLANE = " /(api|v1|oauth|[.]well-known|id|access)/"
START_SECONDS, PASS_SECONDS = 20, 120

# Off, so that a credential can be used more than once and a flow here needs no RSA.
OFF = "jwt.signature", "jwt.jti", "refresh.rotate"
# Of the documented statuses the fuzzer has to see all but these.
OUT_OF_REACH = {
    "413": "it sends no long body",
    "503": "not so many wait, and no 100,000 assertions came",
    "control 403": "it is on this machine",
    "GET /v1/users/me: 400": "it sends no header twice",
    "GET /v1/users/me: 403": "its token is not restricted",
    "GET /v1/workspaces: 403": "its token is not restricted",
    "POST /_mock/v1/api: 409": "it sets too few",
    "POST /_mock/v1/worlds: 501": "the mock has a socket",
    "PUT /_mock/v1/port: 501": "the mock has a socket",
    "POST /_mock/v1/apps/{client_id}/keys: 409": "it adds too few",
    "POST /api/permission/oauth2/account/{account_id}/token: 403": "the JWT app is switched on",
    "POST /api/permission/oauth2/enterprise_id/{enterprise_id}/token: 403": "the JWT app is switched on",
    "POST /.well-known/token: 403": "the workload is switched on",
    "POST /id/token: 403": "the workload is switched on",
    "POST /access/token: 403": "the workload is switched on",
    "POST /api/v1/secret/integration: 403": "its token is not restricted",
    "GET /api/v1/secret/env: 400": "it sends no header twice",
    "GET /api/v1/secret/env: 403": "its token is not restricted",
    "POST /_mock/v1/gates/{name}: 409": "it sets too few",
    "POST /api/permission/oauth2/account/{account_id}/token: 404": "no accounts are listed",
    "POST /api/permission/oauth2/enterprise_id/{enterprise_id}/token: 404": "no enterprises are listed",
    "GET /_mock/v1/ca.pem: 200": "the mock speaks no TLS",
    "DELETE /_mock/v1/worlds/{name}: 400": "it sends no path that is no text",
}


class AsItIs(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), AsItIs)


class Trouble(Exception):
    """The run could not be made: no verdict about the mock."""


def environment(**more):
    """Loopback never goes through a proxy."""
    kept = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **more}


def install():
    # Scripts of an environment name its path, so one whose folder was moved is made anew.
    stamp, wanted = OUT / "installed-from", f"{sys.version}\n{OUT}\n" + (HERE / "requirements.txt").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(OUT / "venv")],
        [str(VENV / f"python{EXE}"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        + ["-r", str(HERE / "requirements.txt")],
    ):
        if subprocess.run(command).returncode:
            raise Trouble(f"could not install: {' '.join(command)}")
    stamp.write_text(wanted)


class Mock:
    """The mock on a free port."""

    def __init__(self, binary):
        self.log = OUT / "mock.log"
        options = ["--listen", "127.0.0.1:0", "--print", "json", "--seed", "1", "--admin-token", ADMIN]
        options += [part for rule in OFF for part in ("--rule", f"{rule}=off")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(binary), *options], stdout=subprocess.PIPE, stderr=log, env=environment()
            )
        # A mock that says nothing must not hang the run.
        alarm = threading.Timer(START_SECONDS, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline().decode()
        alarm.cancel()
        if '"base_url"' not in line:
            raise Trouble(f"the mock did not start: {line}{self.said()}")
        self.base = json.loads(line)["base_url"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def said(self):
        return self.log.read_text(errors="replace")

    def ask(self, path, body=None, bearer=ADMIN):
        """An answer of any status."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        data = body and json.dumps(body).encode()
        try:
            return OPENER.open(urllib.request.Request(self.base + path, data, headers), timeout=10)
        except urllib.error.HTTPError as other:
            return other

    def form(self, path, members):
        body = urllib.parse.urlencode(members).encode()
        with OPENER.open(urllib.request.Request(self.base + path, body), timeout=10) as answer:
            return json.load(answer)

    def json(self, *request):
        answer = self.ask(*request)
        if answer.status != 200:
            raise Trouble(f"{request[0]} was answered with {answer.status} {answer.read().decode()}")
        return json.load(answer)


def assertion():
    """Good until the year 9999."""
    claims = {"iss": "100000000001", "aud": "api.coze.cn", "iat": int(time.time()), "exp": 253402300799, "jti": "one"}
    parts = {"alg": "RS256", "kid": "mock-jwt-key-1"}, claims, "unsigned"
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def run_flows(mock):
    """Each flow once, so that there is something to be seen; what exists then, for the fuzzer to name."""
    token, web, device = "/api/permission/oauth2/token", "1" * 32 + ".app.coze", "3" * 32 + ".app.coze"
    callback, secret = "http://localhost:8080/callback", "mock-web-secret"
    query = {"response_type": "code", "client_id": web, "redirect_uri": callback, "state": "s"}
    url = "/api/permission/oauth2/authorize?" + urllib.parse.urlencode(query)
    pages = [mock.ask(url, None, None).headers["Location"] for _ in range(40)]
    sent_back = mock.json("/_mock/v1/authorize", {"url": url, "action": "approve"})["redirect"]
    grant = {"grant_type": "authorization_code", "client_id": web, "redirect_uri": callback, "code": of(sent_back, "code")}
    pair = mock.json(token, grant, secret)
    mock.ask(token, grant, secret)  # refused
    refresh = {"grant_type": "refresh_token", "client_id": web, "refresh_token": pair["refresh_token"]}
    pair = mock.json(token, refresh, secret)
    mock.ask("/v1/users/me", None, pair["access_token"])
    mock.ask("/?a=b", None, None)  # not the page
    mock.ask(f"/v1/users/me?access_token={pair['access_token']}", None, None)  # leaks it
    codes = [mock.json("/api/permission/oauth2/device/code", {"client_id": device}, None) for _ in range(40)]
    poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": device}
    for action, started in zip(("approve", "deny", "expire"), codes):
        mock.ask(f"/_mock/v1/device/{started['user_code']}", {"action": action})
        mock.ask(token, {**poll, "device_code": started["device_code"]}, None)
    mock.json(token, {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, assertion())
    workload = run_workload(mock)
    return {
        "client_id": [app["client_id"] for app in mock.json("/_mock/v1/info")["apps"]],
        "logid": [one["outcome"]["logid"] for one in mock.json("/_mock/v1/requests")["requests"]],
        "fingerprint": [one["fingerprint"] for one in mock.json("/_mock/v1/tokens")["tokens"]],
        "user_code": [one["user_code"] for one in codes],
        "authorize_key": [of(page, "authorize_key") for page in pages],
        "refresh_token": [pair["refresh_token"]],
        **workload,
    }


def run_workload(mock):
    """The grant of a workload, and what it gets with its token."""
    client_id, secret = "5" * 32, "mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork"
    first = {"client_id": client_id, "client_secret": secret, "grant_type": "client_credentials"}
    id_token = mock.form("/.well-known/token", first)["access_token"]
    second = {"client_id": client_id, "subject_token": id_token, "subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}
    second["grant_type"] = "urn:ietf:params:oauth:grant-type:token-exchange"
    access = mock.form("/.well-known/token", second)["access_token"]
    return {"client_secret": [secret], "subject_token": [id_token], "integration_name": ["integration-feishu-base"], "workload": access}


def of(url, name):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)[name][0]


def fuzz(mock, document, known, name, *selected):
    print(f"-- {name}", flush=True)
    command = [str(VENV / f"schemathesis{EXE}"), "--no-color", "--config-file", "schemathesis.toml", "run"]
    command += [str(document), "--url", mock.base, *selected]
    values = {name: values for name, values in known.items() if name != "workload"}
    more = {"SEEN": str(OUT / "seen.jsonl"), "KNOWN": json.dumps(values), "ASSERTION": assertion(), "WORKLOAD": known["workload"]}
    more = {f"OPENAPI_{name}": value for name, value in more.items()}
    done = subprocess.run(command, cwd=HERE, env=environment(**more), timeout=PASS_SECONDS)
    if done.returncode not in (0, 1):
        raise Trouble(f"schemathesis ended with {done.returncode}")
    return done.returncode == 0


def unseen(document):
    """The documented statuses that no answer had: the document promises too much, or the fuzzer saw too little."""
    seen = {tuple(json.loads(line)) for line in (OUT / "seen.jsonl").read_text().splitlines()}
    return [
        f"{method.upper()} {path}: {status}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
        if status not in OUT_OF_REACH
        and f"{method.upper()} {path}: {status}" not in OUT_OF_REACH
        and not (path.startswith("/_mock/") and f"control {status}" in OUT_OF_REACH)
        and (f"{method.upper()} {path}", int(status)) not in seen
    ]


def judge(binary):
    (OUT / "seen.jsonl").write_text("")
    with Mock(binary) as mock:
        document = mock.json("/_mock/v1/openapi.json")
        file = OUT / "openapi.json"
        file.write_text(json.dumps(document))
        good = subprocess.run([str(VENV / f"openapi-spec-validator{EXE}"), str(file)]).returncode == 0
        known = run_flows(mock)
        for one in (
            ("data plane and pages", "--exclude-name-regex", " /_mock/"),
            # Without requests that a gate or a fault could hold; nothing is forgotten yet.
            ("control plane", "--exclude-name-regex", f"{DATA_PLANE}|^DELETE|/reset$", "--phases", "examples,coverage,fuzzing"),
            ("control plane, with all that forgets", "--exclude-name-regex", DATA_PLANE, "--max-examples", "10"),
        ):
            good = fuzz(mock, file, known, *one) and good
        if mock.process.poll() is not None or mock.ask("/_mock/v1/health").status != 200:
            print("the mock has ended")
            good = False
        for line in re.findall(r".*panicked.*\n.*", mock.said()):
            print("the mock panicked:", line)
            good = False
    for missing in unseen(document):
        print("documented, and not seen:", missing)
        good = False
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    binary = parser.parse_args().mock
    try:
        OUT.mkdir(parents=True, exist_ok=True)
        install()
        if not binary:
            if subprocess.run(["cargo", "build", "--locked", "--quiet", "-p", "coze-auth-mock"], cwd=WORKSPACE).returncode:
                raise Trouble("the mock server does not build")
            binary = OUT.parent / "debug" / f"coze-auth-mock{EXE}"
        good = judge(binary)
    except (Trouble, OSError, subprocess.TimeoutExpired) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    print("the document is valid and true" if good else "the document and the mock disagree, see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
