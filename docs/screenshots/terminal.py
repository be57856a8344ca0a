#!/usr/bin/env python3
"""Pictures of the demo and of the command coze-auth, of what they print: `just screenshots`."""

import html
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[1]
sys.path.insert(0, str(WORKSPACE / "conformance" / "released-sdks"))
sys.path.insert(0, str(WORKSPACE / "mock-server" / "tests" / "browser"))
from install import TARGET, without_proxy  # noqa: E402
from run import chromium  # noqa: E402

MOCK = "127.0.0.1:9777"
COLUMNS = 100
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #12161c; color: #d6dde6 }}
pre {{ margin: 0; padding: 18px 22px; width: {columns}ch; white-space: pre-wrap; word-break: break-all;
       font: 14px/16px "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace }}
b {{ color: #7ee0a1; font-weight: normal }}
</style><pre>{text}</pre>"""


def screen(output):
    """What stays on a terminal of what was printed: lines that were drawn anew, without colours and links."""
    text = re.sub(r"\x1b\](.*?)(\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]", lambda found: "\r" if found[0] == "\x1b[K" else "", output)
    lines = [re.split(r"\r+", line.rstrip("\r"))[-1].rstrip() for line in text.split("\n")]
    return "\n".join(lines)


def in_terminal(command, env, seen=lambda text: None):
    """Runs a command in a terminal and gives what it printed. `seen` is shown all of it, again and again."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(command[0], command, env)
    output = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        if not more:
            break
        output += more
        seen(output.decode(errors="replace"))
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"this failed: {command}\n{output.decode(errors='replace')}")
    return screen(output.decode())


def approve(text, done=set()):
    """Says yes for the person, as soon as the code is there."""
    code = re.search(r"^enter +(\S+)", screen(text), re.MULTILINE)
    if code and code[1] not in done:
        done.add(code[1])
        body = json.dumps({"action": "approve"}).encode()
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{MOCK}/_mock/v1/device/{code[1]}", body)


def command_session():
    """A login with the command and what can be done with it, against the mock."""
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "mock.toml"
        config.write_text("seed = 1\n[ttl]\ndevice_interval = 1\n")
        mock = subprocess.Popen(
            [TARGET / "debug" / "coze-auth-mock", "--config", config, "--listen", MOCK], stdout=subprocess.PIPE, text=True
        )
        try:
            lines = iter(mock.stdout.readline, "")
            if not any("COZE_JWT_OAUTH_PRIVATE_KEY" in line for line in lines):
                sys.exit(f"the mock does not listen on {MOCK}")
            env = {"HOME": home, "PATH": f"{TARGET / 'debug'}:{os.environ['PATH']}", "TERM": "xterm-256color"}
            env |= {"COLUMNS": str(COLUMNS), "COZE_API_BASE": f"http://{MOCK}"}
            text = ""
            for line in [
                "coze-auth login --client-id 33333333333333333333333333333333.app.coze",
                "coze-auth whoami",
                "coze-auth exec -- printenv COZE_API_TOKEN",
                "coze-auth status",
            ]:
                printed = in_terminal(line.split(), env, approve).replace(home, "~")
                text += f"$ {line}\n{printed.strip(chr(10))}\n"
            return text
        finally:
            mock.terminate()
            mock.wait()


def demo():
    """The device flow of the demo."""
    run = subprocess.run([TARGET / "debug" / "examples" / "demo"], stdout=subprocess.PIPE, text=True, check=True, env=without_proxy())
    part = re.search(r"━━ reqwest · device.*?\n(?=\n)", run.stdout, re.DOTALL)
    return f"$ cargo demo\n…\n{part[0]}…\n"


def picture(browser, name, text):
    shown = "\n".join(f"<b>{html.escape(line)}</b>" if line[:1] in "$━" else html.escape(line) for line in text.rstrip().split("\n"))
    rows = sum(-(-max(len(line), 1) // COLUMNS) for line in text.rstrip().split("\n"))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(columns=COLUMNS, text=shown))
        command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        command += [f"--screenshot={HERE / name}.png", f"--window-size={int(COLUMNS * 8.43) + 46},{rows * 16 + 36}", page.as_uri()]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def main():
    build = ["cargo", "build", "--locked", "--workspace", "--example", "demo", "--bin", "coze-auth", "--bin", "coze-auth-mock"]
    subprocess.run(build, check=True, cwd=WORKSPACE)
    browser = chromium()
    picture(browser, "demo", demo())
    picture(browser, "command", command_session())


if __name__ == "__main__":
    main()
