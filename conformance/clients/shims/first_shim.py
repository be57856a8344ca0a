#!/usr/bin/env python3
"""The smallest shim: of a library that can ask whose a token is. docs/test-your-transport.md shows it whole."""

import json
import sys
import urllib.error
import urllib.request


def whoami(base, token):  # the library under test; yours is imported instead
    request = urllib.request.Request(base + "/v1/users/me", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)["data"]["user_id"]


def call(base, token):
    try:
        return {"ok": {"user_id": whoami(base, token)}}
    except urllib.error.HTTPError as why:  # refused: what the library tells of it, and nothing else
        code, logid = str(json.load(why).get("code")), why.headers["x-tt-logid"]
        return {"err": {"kind": "api", "code": code, "http_status": why.code, "logid": logid, "message": str(why)}}
    except OSError as why:
        return {"err": {"kind": "transport", "message": str(why)}}
    except Exception as why:
        return {"err": {"kind": "other", "message": repr(why)}}


base = None
for line in sys.stdin:
    number = None
    try:
        asked = json.loads(line)
        number, op = asked.get("id"), asked["op"]
        if op == "exit":
            break
        if op == "hello":
            about = {"name": "first", "version": "1", "language": "python", "runtime": sys.version.split()[0]}
            answer = {"ok": {"protocol": 1, **about, "caps": ["api"]}}
        elif op == "case":
            base, answer = asked["args"]["base_url"], {"ok": {}}
        elif op == "api.call" and base and "token" in asked["args"]:
            answer = call(base, asked["args"]["token"])
        else:
            answer = {"unsupported": "the library has no call for it"}
    except (ValueError, LookupError, TypeError, AttributeError) as why:  # a line that cannot be
        answer = {"err": {"kind": "protocol", "message": repr(why)}}
    print(json.dumps({"id": number, **answer}), flush=True)
