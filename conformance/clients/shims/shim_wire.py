"""The half of a Python shim that is the same for every library: the wire, the clock, the answers (README.md).

Import it before the library: it takes over `time.time`, `time.sleep` and what is printed. Then call `serve`.
"""

import inspect
import itertools
import json
import os
import queue
import sys
import threading
import time

LONGEST_TEXT = 65536
WIRE = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
os.dup2(2, 1)  # standard output is the protocol's alone
ONE_AT_A_TIME = threading.Lock()


def send(message):
    # Half a character of a server's text is none of JSON's: most readers refuse the whole line.
    line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
    with ONE_AT_A_TIME:
        WIRE.write(line + "\n")
        WIRE.flush()


def log(level, text):
    if text.strip():
        send({"ev": "log", "level": level, "text": text[:LONGEST_TEXT]})


class Printed:
    """Stands in for standard output and error, so that what the library prints is a log event."""

    def __init__(self, level):
        self.level = level

    def write(self, text):
        log(self.level, text)

    def flush(self):
        pass


sys.stdin.reconfigure(encoding="utf-8", errors="replace")
sys.stdout, sys.stderr = Printed("info"), Printed("warning")


class Abandoned(BaseException):
    """A sleep that never returns. Not an `Exception`: no `except` of the library may catch it."""


class Unsupported(Exception):
    """The library has no such feature."""


class Misused(Exception):
    """The runner's fault, or the shim's."""


class Clock:
    """The runner's time."""

    def __init__(self):
        self.now, self.numbers, self.sleepers = 0.0, itertools.count(1), {}

    def sleep(self, seconds):
        number, answers = next(self.numbers), queue.Queue()
        self.sleepers[number] = answers
        send({"ev": "sleep", "n": number, "ms": max(0, round(seconds * 1000))})
        if answers.get() == "abandon":
            raise Abandoned


CLOCK = Clock()
# The monotonic clock stays real: HTTP timeouts go by it.
time.time = lambda: CLOCK.now
time.sleep = CLOCK.sleep


class Handles(dict):
    def __missing__(self, name):
        raise Misused(f"no such handle: {name}")


class Shim:
    """`about` answers hello; `error` makes an exception the protocol's; `case(base_url, debug)` gives an object with a
    method for each operation, its dots as underscores, in which `name` is the protocol's `as`; with `end` if the library asks
    to be closed."""

    def __init__(self, about, case, error):
        self.about, self.case, self.error, self.current = about, case, error, None

    def op_hello(self, protocol, suite=None):
        if 1 not in protocol:
            raise Misused("this shim speaks version 1")
        return {"protocol": 1, **self.about}

    def op_case(self, id, base_url, log="default", ca_file=None):
        if ca_file:  # until the next case that has one
            os.environ["SSL_CERT_FILE"] = ca_file
        self.current = self.case(base_url, log == "debug")

    def operate(self, op, args):
        call, name = getattr(self, f"op_{op}", None), op.replace(".", "_")
        if not call:
            if not ("." in op or op == "refresh") or not callable(getattr(self.case, name, None)):
                raise Unsupported(f"unknown operation {op}")
            if not self.current:
                raise Misused("no case yet")
            call = getattr(self.current, name)
        args = {("name" if name == "as" else name): value for name, value in args.items()}
        try:
            inspect.signature(call).bind(**args)
        except TypeError as why:
            raise Misused(f"{op}: {why}") from None
        return call(**args)

    def outcome(self, call, *args):
        try:
            return {"ok": call(*args) or {}}
        except Unsupported as why:
            return {"unsupported": str(why)}
        except Misused as why:
            return {"err": {"kind": "protocol", "message": str(why)}}
        except Abandoned:
            return {"err": {"kind": "abandoned", "message": "a sleep did not return"}}
        except Exception as why:
            return self.failed(why)

    def failed(self, why):
        return {"err": {"type": type(why).__name__, "message": str(why)[:LONGEST_TEXT], **self.error(why)}}

    def results(self, ended):
        """What became of callers who are all done: of each the answer, or what was thrown."""
        return {"results": [self.failed(end) if isinstance(end, Exception) else {"ok": end} for end in ended]}

    def in_threads(self, calls):
        """Each call by a thread of its own, all at once."""
        ended, start = [None] * len(calls), threading.Barrier(len(calls))

        def caller(number, call):
            start.wait()
            try:
                ended[number] = call()
            except Exception as why:
                ended[number] = why

        threads = [threading.Thread(target=caller, args=call) for call in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.results(ended)

    def serve(self):
        """Returns after `process.end`: then the process has to end by itself."""
        requests = queue.Queue()
        threading.Thread(target=read, args=[requests], daemon=True).start()
        while True:
            number, CLOCK.now, op, args = requests.get()
            if op == "process.end":
                getattr(self.current, "end", lambda: None)()
                self.current = None
                return send({"id": number, "ok": {}})
            send({"id": number, **self.outcome(self.operate, op, args)})


def read(requests):
    """Takes in every line; a wake goes to its sleeper while the library is at work."""
    for line in sys.stdin:
        number = None
        try:
            message = json.loads(line)
            number = message.get("id")
            if "wake" in message:
                CLOCK.now = message["unix_ms"] / 1000
                CLOCK.sleepers.pop(message["wake"]).put("wake")
            elif "abandon" in message:
                CLOCK.sleepers.pop(message["abandon"]).put("abandon")
            elif message["op"] == "exit":
                break
            elif message["op"] == "cancel":
                send({"id": number, "unsupported": "no call of the library can be stopped"})
            else:
                requests.put((number, message["unix_ms"] / 1000, message["op"], {**message["args"]}))
                if message["op"] == "process.end":
                    return
        except Exception as why:
            send({"id": number, "err": {"kind": "protocol", "message": f"{type(why).__name__}: {why}"}})
    os._exit(0)  # a library that sleeps would keep the process
