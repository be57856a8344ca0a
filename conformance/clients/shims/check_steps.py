"""What the cases have at hand: a client, a login, a device, and the proof of a token."""

from mock_case import CALLBACK, expect

VERIFIER = "a-code-verifier-of-the-runner-0123456789-0123456789"
ACCESS_SECONDS = 15 * 60


def client(shim, kind, **changed):
    """The ready-made app of this kind as `c`; None if the library has no such flow."""
    app = vars(shim.mock.apps[kind])
    given = {name: app[name] for name in ("client_id", "client_secret", "key_id", "private_key") if name in app}
    if kind == "workload":
        given.update(identity_endpoint=f"{shim.mock.base}/.well-known/token", access_endpoint=f"{shim.mock.base}/.well-known/token")
        given["outbound_endpoint"] = f"{shim.mock.base}/api/v1/secret"
    return shim.ok("client.new", as_="c", kind=kind, **{**given, **changed})


def approved(shim, url, action="approve"):
    return shim.mock.control("POST", "/authorize", {"url": url, "action": action})["redirect"]


def login(shim, kind, **args):
    """An attempt `a`, approved: the callback. None if the library has no such flow."""
    if kind == "pkce":
        args["code_verifier"] = VERIFIER
    started = shim.ok(f"{kind}.authorize_url", as_="a", client="c", redirect_uri=CALLBACK, state="s", **args)
    if started is None:
        return None
    if kind == "pkce" and "pkce.verifier" not in shim.caps:
        expect("the verifier that counts", VERIFIER, started["code_verifier"])
    return approved(shim, started["url"])


def good(shim, grant, seconds=ACCESS_SECONDS):
    """The grant opens the API, and its end is in the mock's time."""
    expect("expires_at", shim.mock.now() + seconds, grant["expires_at"])
    user = shim.ok("api.call", token=grant["access_token"])
    if user:
        expect("user", True, bool(user["user_id"]) and user.get("user_name", "alice") == "alice")


def token_requests(shim):
    return [entry for entry in shim.mock.new_entries() if entry["endpoint"] == "token"]


def device(shim, **args):
    """A device authorization `d`; None if the library has no such flow."""
    client(shim, "device")
    started = shim.ok("device.start", as_="d", client="c", **args)
    if started:
        expect("interval and life", [5, 300], [started["interval_s"], started["expires_in_s"]])
    return started
