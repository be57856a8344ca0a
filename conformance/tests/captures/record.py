#!/usr/bin/env python3
"""Records what coze-go, coze-java and Coze Loop's clients send, as README.md tells; `--check` compares with what stands here."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "released-sdks"))
from install import HERE as PINS, TARGET, WORKSPACE, Missing, Trouble, cozepy, go_program, java_program, without_proxy  # noqa: E402

BUILT = TARGET / "captures"
# These SDKs take no text beside the key.
KEY = "-----BEGIN" + (WORKSPACE / "mock-server" / "dev-key.pem").read_text(encoding="utf-8").partition("-----BEGIN")[2]
SECONDS = 60
SENT_AT = 1_795_391_250  # what the captures of all SDKs have for `iat`, so that a new run writes the same bytes
WORKSPACE_ANSWER = {"id": "ws1", "name": "n", "icon_url": "", "role_type": "owner", "workspace_type": "personal"}


class Recorder(BaseHTTPRequestHandler):
    """Says yes to everything, and keeps what is about credentials."""

    protocol_version = "HTTP/1.1"
    kept = []

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        if path.startswith("/api/permission/") or path in ("/v1/users/me", "/v1/workspaces"):
            self.kept.append((self.requestline, self.headers.items(), body))
        soon = int(time.time()) + 900
        said = {"access_token": "czs_x", "expires_in": soon, "refresh_token": "rt2", "token_type": "Bearer"}
        if path.endswith("/device/code"):
            page = "https://app.example/device"
            said = {"device_code": "dc", "user_code": "u", "verification_uri": page, "expires_in": 300, "interval": 5}
        elif path.startswith("/v1/"):
            data = {"total_count": 1, "workspaces": [WORKSPACE_ANSWER], "user_id": "1"}
            said = {"code": 0, "msg": "", "data": data}
        said = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = answer


def same_form(text):
    """Random hex digits, in order: the length and the form stay."""
    digits = iter("0123456789abcdef" * (len(text) // 16 + 1))
    return re.sub(r"[0-9a-f]", lambda _: next(digits), text)


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def capture(sdk, port, kept):
    """A line of the file. What changes from run to run or from machine to machine is replaced, as README.md says."""
    line, headers, body = kept
    method, target, _ = line.split(" ")
    made = {"sdk": sdk, "method": method, "target": target, "headers": {}}
    for name, value in headers:
        if name.lower() in ("authorization", "content-type"):
            made["headers"][name.lower()] = value
    made["body"] = json.loads(body) if body else None
    if verifier := (made["body"] or {}).get("code_verifier"):
        made["body"]["code_verifier"] = same_form(verifier)
    credential = made["headers"].get("authorization", "")
    if credential.count(".") == 2:
        made["headers"]["authorization"] = "Bearer <jwt>"
        header, claims = map(decoded, credential.removeprefix("Bearer ").split(".")[:2])
        claims["exp"] += SENT_AT - claims["iat"]
        claims["iat"] = SENT_AT
        claims["jti"] = same_form(claims["jti"])
        claims["aud"] = claims["aud"].replace(f"127.0.0.1:{port}", "api.example:8080").replace("127.0.0.1", "api.example")
        made["assertion"] = {"header": header, "claims": claims}
    # As they came, in their order and case.
    made["head"] = [f"{name}: {machine(name, value, credential, made, port)}" for name, value in headers]
    return made


def machine(name, value, credential, made, port):
    if value == credential and credential:
        return made["headers"]["authorization"]
    if name.lower() == "host":
        return value.replace(f"127.0.0.1:{port}", "api.example:8080")
    if name.lower() == "content-length":
        return "<length>"
    if name.lower().endswith("user-agent"):
        # The SDK's own version stays; those of Java, Go and the system are this machine's.
        value = re.sub(r'("(?:lang|os)_version":)"[^"]*"', r'\1"<version>"', value)
        value = re.sub(r"(?<![\w-])(java|go|linux)/\S*", r"\1/<version>", value)
    return value


def pinned(pattern):
    """The version of an SDK, from the one file that pins it."""
    files = [PINS / "requirements.txt", PINS / "go" / "go.mod", *sorted((PINS / "java").rglob("pom.xml"))]
    return re.search(pattern, "".join(path.read_text(encoding="utf-8") for path in files))[1]


def go_sdk(name):
    return [str(go_program(name, [HERE / f"{name}.go"]))]


def java_sdk(name, which):
    return [*java_program(name.lower(), [HERE / f"{name}.java"], which), name]


# The file, the SDKs in it, and how each is started.
FILES = {
    "cozego.jsonl": [("coze-go", r"coze-go (\S+)", "Go", lambda: go_sdk("record"))],
    "cozejava.jsonl": [
        ("coze-api", r"coze-api</artifactId>\s*<version>(.+?)<", "Maven", lambda: java_sdk("Record", "coze"))
    ],
    "cozeloop.jsonl": [
        ("cozeloop", r"\ncozeloop==(\S+)", "PyPI", lambda: [str(cozepy()), "-B", str(HERE / "record_loop.py")]),
        ("cozeloop-go", r"cozeloop-go (\S+)", "Go", lambda: go_sdk("record_loop")),
        (
            "cozeloop-core",
            r"cozeloop-core</artifactId>\s*<version>(.+?)<",
            "Maven",
            lambda: java_sdk("RecordLoop", "loop"),
        ),
    ],
}


def record(name, version, registry, command):
    Recorder.kept = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    base = f"http://127.0.0.1:{port}"
    kept_environment = {k: v for k, v in without_proxy().items() if not k.startswith("COZE") and k != "OSVERSION"}
    environment = {**kept_environment, "BASE": base, "KEY": KEY}
    done = subprocess.run(command(), env=environment, capture_output=True, text=True, timeout=SECONDS)
    server.shutdown()
    server.server_close()
    if done.returncode or not Recorder.kept:
        raise Trouble(f"{name}: exit status {done.returncode}, {len(Recorder.kept)} requests\n{done.stderr[-2000:]}")
    sdk = f"{name} {pinned(version)} ({registry})"
    lines = [capture(sdk, port, kept) for kept in Recorder.kept]
    for url in re.findall(rf"^{base}(\S+)$", done.stdout, re.M):
        # What a browser opens; the challenge is random.
        url = re.sub(r"(?<=code_challenge=)[\w-]+", lambda found: challenge(found[0]), url)
        lines.append({"sdk": sdk, "method": "GET", "target": url, "headers": {}, "body": None})
    # coze-java asks twice for a list.
    return "".join(dict.fromkeys(json.dumps(line) + "\n" for line in lines))


def challenge(text):
    # 43 characters are a SHA-256; any other is the verifier itself.
    return "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" if len(text) == 43 else same_form(text)


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: record.py [--check]")
    BUILT.mkdir(parents=True, exist_ok=True)
    changed = skipped = 0
    for file, sdks in FILES.items():
        try:
            made = "".join(record(*sdk) for sdk in sdks)
        except Missing as why:
            print(f"{file} skipped: {why}")
            skipped += 1
            continue
        path = HERE / file
        same = path.exists() and path.read_text(encoding="utf-8") == made
        if not same and not check:
            path.write_text(made, encoding="utf-8")
        if not same and check:
            (BUILT / file).write_text(made, encoding="utf-8")
            subprocess.run(["git", "--no-pager", "diff", "--no-index", "--word-diff", str(path), str(BUILT / file)])
        changed += not same
        print(f"{file}: {made.count(chr(10))} requests, {'as recorded' if same else 'otherwise than recorded'}")
    # CI skips nothing.
    return 1 if check and changed or skipped and os.environ.get("CI") else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as why:
        sys.exit(f"no verdict: {why}")
