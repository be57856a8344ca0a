"""The runner's side of `coze-auth-shim/1`, for check.py. Every line is held against the schema, both ways."""

import json
import queue
import subprocess
import threading
from pathlib import Path

import jsonschema
from jsonschema.exceptions import best_match

from mock_case import Mismatch, Mock, expect

DEFINITIONS = json.loads((Path(__file__).parent / "shim.schema.json").read_text(encoding="utf-8"))["$defs"]
OPERATIONS = set(DEFINITIONS["args"]["properties"])
ANSWER_SECONDS = 10
LONGEST_LINE = 1 << 20
# Capabilities that an argument needs; an operation's own are in `needs`.
ARGUMENTS = {
    "workspace_id": "workspace",
    "www_base_url": "www_base",
    "timeout_ms": "timeout",
    "ca_file": "https",
    "scope": "jwt.scope",
    "session_name": "jwt.session_name",
    "session_context": "jwt.session_context",
    "account_id": "jwt.account",
    "enterprise_id": "jwt.enterprise",
    "lane": "workload.lane",
}


def validator(pointer):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{pointer}", "$defs": DEFINITIONS})


TO_SHIM, FROM_SHIM = validator("to_shim"), validator("from_shim")
RESULTS = {op: validator(f"results/properties/{op}") for op in OPERATIONS}


def hold(what, checker, value):
    wrong = best_match(checker.iter_errors(value))
    if wrong:
        raise Mismatch(f"{what} against the schema: {wrong.message} in {json.dumps(value)}")


class CleanMock(Mock):
    """The whole mock, which a case has for itself."""

    def __init__(self, info):
        super().__init__(info, {"base_url": info["base_url"].rstrip("/")})

    def reset(self):
        """Clean state, journal and clock: no case sees another's. The clock stands still until it is told to move."""
        self.control("POST", "/reset", {})
        self.control("POST", "/clock", {"mode": "real"})
        self.control("POST", "/clock", {"mode": "frozen"})
        self._looked_at = 0
        expect("journal after reset", [], self.new_entries())


class Shim:
    """One process. Time is the mock's: a sleep moves its clock."""

    def __init__(self, command, environment, mock):
        self.mock, self.number = mock, 0
        self.logs, self.sleeps, self.asked, self.caps = [], [], set(), set()
        self.workloads = set()  # handles of clients and providers
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def unix_ms(self):
        return self.mock.control("GET", "/clock")["now_ms"]

    def write(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def send(self, message):
        hold("line to the shim", TO_SHIM, message)
        self.write(json.dumps(message))

    def receive(self):
        """The next line; log events are put aside."""
        message = self._line()
        while message.get("ev") == "log":
            self.logs.append(message)
            message = self._line()
        return message

    def _line(self):
        try:
            line = self.lines.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise Mismatch(f"no line from the shim for {ANSWER_SECONDS} s") from None
        if line is None:
            raise Mismatch(f"the shim died: exit code {self.process.wait()}")
        if len(line) > LONGEST_LINE:
            raise Mismatch(f"a line of {len(line)} bytes")
        try:
            message = json.loads(line)
        except ValueError:
            raise Mismatch(f"standard output has a line that is not the protocol's: {line!r}") from None
        hold("line from the shim", FROM_SHIM, message)
        return message

    def request(self, op, **args):
        """Sends a request and gives its id. `as_` is the protocol's `as`."""
        self.number += 1
        self.asked.add(op)
        args = {name.rstrip("_"): value for name, value in args.items()}
        self.send({"id": self.number, "op": op, "args": args, "unix_ms": self.unix_ms()})
        return self.number

    def answer(self, number, on_sleep=None):
        """The answer to this request. Meanwhile `on_sleep(n, ms)` may act, or say "abandon"."""
        while True:
            message = self.receive()
            if message.get("ev") == "sleep":
                self.sleeps.append(message["ms"])
                self.mock.advance(message["ms"] / 1000)
                if on_sleep and on_sleep(message["n"], message["ms"]) == "abandon":
                    self.send({"abandon": message["n"]})
                else:
                    self.send({"wake": message["n"], "unix_ms": self.unix_ms()})
            elif message["id"] == number:
                return message
            else:
                raise Mismatch(f"an answer to {message['id']}, not to {number}")

    def ask(self, op, on_sleep=None, **args):
        """The whole answer. It says `unsupported` exactly when a capability is not declared."""
        self.logs, self.sleeps = [], []
        answer = self.answer(self.request(op, **args), on_sleep)
        if "ok" in answer:
            hold(f"ok of {op}", RESULTS[op], answer["ok"])
        own = answer.get("err", {}).get("kind") not in (None, "protocol", "abandoned")
        if own and ("documented" in answer["err"]) != ("documented" in self.caps):
            raise Mismatch(f"`documented` is said with that capability, and only with it: {answer['err']}")
        missing = needs(op, args, self.of_workload(op, args)) - self.caps
        if op != "hello" and missing and "unsupported" not in answer:
            raise Mismatch(f"{op} is not unsupported although {sorted(missing)} is not declared: {answer}")
        if "unsupported" in answer and not missing:
            raise Mismatch(f"{op} is unsupported although all it needs is declared: {answer['unsupported']}")
        return answer

    def of_workload(self, op, args):
        """Whether it is about a workload's client or provider, which it may name with `as_`."""
        known = args.get("kind") == "workload" or bool(self.workloads & {args.get("client"), args.get("provider")})
        if op in ("client.new", "provider.new"):
            change = self.workloads.add if known else self.workloads.discard
            change(args["as_"])
        return known

    def ok(self, op, **args):
        """What the library gave, or None if it lacks the feature."""
        answer = self.ask(op, **args)
        if "err" in answer:
            raise Mismatch(f"{op} failed: {answer['err']}")
        return answer.get("ok")

    def err(self, op, **args):
        """What the library refused with, or None if it lacks the feature."""
        answer = self.ask(op, **args)
        if "ok" in answer:
            raise Mismatch(f"{op} was to fail and gave {answer['ok']}")
        return answer.get("err")

    def hello(self):
        about = self.ask("hello", protocol=[1])["ok"]
        self.caps = set(about["caps"])
        return about

    def case(self, name, **args):
        self.mock.reset()
        self.ok("case", id=name, base_url=self.mock.base, **args)

    def end(self, by_exit=True):
        """Its exit code."""
        if by_exit:
            self.send({"op": "exit"})
        self.process.stdin.close()
        return self.process.wait(timeout=2)

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


def needs(op, args, of_workload):
    """The capabilities without which the answer is `unsupported`."""
    keeps = "provider.workload" if of_workload else "provider.jwt"
    caps = {ARGUMENTS[name] for name in args if name in ARGUMENTS}
    if op == "provider.new":
        caps = {cap.replace("jwt.", "provider.") for cap in caps}
    area = op.split(".")[0]
    if op == "client.new":
        caps |= {args["kind"], *(["client.ttl"] if "ttl_s" in args else [])}
    elif op == "client.parallel":
        caps |= {op, args["call"].split(".")[0]}
    elif op == "process.end":
        caps.add("end")
    elif op in ("device.poll_once", "provider.parallel", "api.workspaces", "workload.integration", "workload.project_env"):
        caps |= {op}
    elif op == "provider.new":
        caps.add("provider.user" if "grant" in args else keeps)
    if area == "api" and "provider" in args:
        caps.add(keeps)
    elif op == "provider.token":
        caps.add(keeps)
    elif op == "config.load":
        caps.add("config")
    if area in ("web", "pkce", "device", "jwt", "workload", "refresh", "cancel") or op == "api.call":
        caps.add(area)
    if args.get("method") == "plain":
        caps.add("pkce.plain")
    expect("capabilities that the schema does not know", set(), caps - set(DEFINITIONS["cap"]["enum"]))
    return caps
