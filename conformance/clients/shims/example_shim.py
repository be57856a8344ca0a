#!/usr/bin/env python3
"""A whole shim: the device flow of a library made up here, so that there is nothing to install. See README.md."""

import json
import sys
import urllib.error
import urllib.request

# --- the library under test; yours is imported instead ---


class Refused(Exception):
    pass


def call(base, path, body=None, token=None):
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, data, headers), timeout=10) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as refused:
        said = json.load(refused)
        code = said.get("error_code") or str(said["code"])
        raise Refused(code, refused.code, refused.headers["x-tt-logid"]) from None


def poll(base, client_id, device, sleep):
    grant = {"client_id": client_id, "grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
    while True:
        sleep(device["interval"])
        try:
            return call(base, "/api/permission/oauth2/token", {**grant, "device_code": device["device_code"]})
        except Refused as refused:
            if refused.args[0] != "authorization_pending":
                raise


# --- the shim ---


class Abandoned(Exception):
    pass


def send(message):
    print(json.dumps(message), flush=True)


def sleep(seconds):
    """What the library sleeps with. A library that cannot be handed one has its clock patched, see shim_wire.py."""
    sleep.n += 1
    send({"ev": "sleep", "n": sleep.n, "ms": seconds * 1000})
    for line in sys.stdin:
        message = json.loads(line)
        if "wake" in message:  # with a wall clock, the library would now get message["unix_ms"]
            return
        if "abandon" in message:
            raise Abandoned
        if message["op"] == "exit":
            break
        send({"id": message["id"], "unsupported": "polling cannot be stopped"})
    sys.exit(0)


sleep.n = 0


def operate(op, args):
    if op == "hello":
        about = {"name": "example", "version": "1", "language": "python", "runtime": sys.version.split()[0]}
        return {"protocol": 1, **about, "caps": ["device", "api", "clock"]}
    if op == "case":
        HANDLES.clear()
        HANDLES["base"] = args["base_url"]
    elif op == "client.new" and args["kind"] == "device" and "timeout_ms" not in args and "www_base_url" not in args:
        HANDLES["client", args["as"]] = args.get("base_url", HANDLES["base"]), args["client_id"]
    elif op == "device.start" and "workspace_id" not in args:
        base, client_id = HANDLES["client", args["client"]]
        device = call(base, "/api/permission/oauth2/device/code", {"client_id": client_id})
        HANDLES["device", args["as"]] = base, client_id, device
        return {
            "user_code": device["user_code"],
            "verification_uri": device["verification_uri"],
            "interval_s": device["interval"],
            "expires_in_s": device["expires_in"],
        }
    elif op == "device.poll":
        token = poll(*HANDLES["device", args["device"]], sleep)
        return {"access_token": token["access_token"], "expires_at": token["expires_in"]}
    elif op == "api.call" and "token" in args:
        return {"user_id": call(HANDLES["base"], "/v1/users/me", token=args["token"])["data"]["user_id"]}
    else:
        raise NotImplementedError(op)
    return {}


HANDLES = {}
for line in sys.stdin:
    number = None
    try:
        message = json.loads(line)
        number = message.get("id")
        if message["op"] == "exit":
            break
        answer = {"ok": operate(message["op"], message["args"])}
    except NotImplementedError as why:
        answer = {"unsupported": f"no {why}"}
    except Refused as why:
        code, status, logid = why.args
        answer = {"err": {"kind": "oauth", "code": code, "http_status": status, "logid": logid, "message": str(why)}}
    except Abandoned:
        answer = {"err": {"kind": "abandoned", "message": "a sleep did not return"}}
    except OSError as why:
        answer = {"err": {"kind": "transport", "message": str(why)}}
    except (ValueError, LookupError, TypeError, AttributeError) as why:  # a line or a handle that cannot be
        answer = {"err": {"kind": "protocol", "message": repr(why)}}
    send({"id": number, **answer})
