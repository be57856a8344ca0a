"""cozepy, with and without the files of docs/official-sdks.md beside this one. See run.py."""

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cozepy
from careful import Refused, careful
from device_login import log_in
from kept_token import KeptToken
from login_link import code, link, web_link
import settings

REDIRECT = "https://app.example/callback"


def failed(error):
    """What an application can tell of an error."""
    value = lambda *names: next((getattr(error, name) for name in names if getattr(error, name, None) is not None), None)
    said = value("code", "error")
    known = isinstance(error, Refused) or isinstance(error, cozepy.CozeError)
    return {"error": type(error).__name__, "code": said and str(getattr(said, "value", said)), "status": value("status"), "known": known, "text": str(error)}


def token(call):
    try:
        return {"token": call().access_token}
    except Exception as error:
        return failed(error)


class Drive:
    def __init__(self, how, base):
        self.page, self.base = how == "page", base

    def app(self, kind, *arguments):
        made = kind(*arguments, base_url=self.base)
        return careful(made) if self.page else made

    def refresh(self, refresh_token):
        return token(lambda: self.app(cozepy.WebOAuthApp, os.environ["WEB"], "mock-web-secret").refresh_access_token(refresh_token))

    def device(self):
        app = self.app(cozepy.DeviceOAuthApp, os.environ["DEVICE"])
        device = app.get_device_code()
        if self.page:
            return token(lambda: log_in(app, device))
        return token(lambda: app.get_access_token(device.device_code, poll=True))

    def ticks(self):
        """How long the rest of an async program stood still at most, while somebody logged in."""

        async def run():
            longest = 0.0

            async def tick():
                nonlocal longest
                while True:
                    before = time.monotonic()
                    await asyncio.sleep(0.05)
                    longest = max(longest, time.monotonic() - before)

            ticking = asyncio.create_task(tick())
            if self.page:
                app = self.app(cozepy.DeviceOAuthApp, os.environ["DEVICE"])
                await asyncio.to_thread(log_in, app, app.get_device_code())
            else:
                app = self.app(cozepy.AsyncDeviceOAuthApp, os.environ["DEVICE"])
                device = await app.get_device_code()
                await app.get_access_token(device.device_code, poll=True)
            ticking.cancel()
            return longest

        return {"longest": asyncio.run(run())}

    def auth(self):
        app = self.app(cozepy.JWTOAuthApp, "100000000001", os.environ["KEY"], "mock-jwt-key-1")
        self.kept = KeptToken(lambda: app.get_access_token(ttl=900)) if self.page else cozepy.JWTAuth(oauth_app=app)
        with ThreadPoolExecutor(8) as pool:
            return {"tokens": list(pool.map(lambda _: self.kept.token, range(8)))}

    def token(self):
        return {"token": self.kept.token}

    def call(self):
        """A call of the API, as the page says it."""
        coze = cozepy.Coze(auth=self.kept, base_url=self.base)
        if self.page:
            return {"ok": self.kept.call(lambda: coze.users.me()).user_name}
        return {"ok": coze.users.me().user_name}

    def key(self, text):
        text = settings.key(text) if self.page else text
        return token(lambda: cozepy.JWTOAuthApp("100000000001", text, "mock-jwt-key-1", base_url=self.base).get_access_token())

    def secret(self, text):
        text = settings.secret(text) if self.page else text
        return token(lambda: cozepy.WebOAuthApp(os.environ["WEB"], text, base_url=self.base).refresh_access_token("rt1"))

    def slash(self):
        base = settings.base(self.base + "/") if self.page else self.base + "/"
        try:
            return {"token": cozepy.DeviceOAuthApp(os.environ["DEVICE"], base_url=base).get_device_code().device_code}
        except Exception as error:
            return failed(error)

    def www(self, base, page):
        more = {"www_base_url": page} if self.page else {}
        return {"url": cozepy.WebOAuthApp("a", "b", base_url=base, **more).get_oauth_url(REDIRECT)}

    def web_link(self):
        app = self.app(cozepy.WebOAuthApp, os.environ["WEB"], "mock-web-secret")
        url, self.state = web_link(app, REDIRECT) if self.page else (app.get_oauth_url(REDIRECT), "")
        self.exchange = lambda given: app.get_access_token(REDIRECT, given)
        return {"url": url}

    def no_state(self):
        self.state = ""

    def link(self):
        app = self.app(cozepy.PKCEOAuthApp, os.environ["PKCE"])
        if self.page:
            url, state, verifier = link(app, REDIRECT)
        else:
            state, verifier = "", "v" * 43
            url = app.get_oauth_url(REDIRECT, code_verifier=verifier)
        self.exchange = lambda given: app.get_access_token(REDIRECT, given, verifier)
        self.state = state
        return {"url": url, "verifier": verifier}

    def callback(self, query):
        try:
            return token(lambda: self.exchange(code(query, self.state) if self.page else query["code"]))
        except Exception as error:
            return failed(error)


def main():
    drives = {}
    for line in sys.stdin:
        asked = json.loads(line)
        drive = drives.setdefault((asked["how"], asked["base"]), Drive(asked["how"], asked["base"]))
        try:
            said = getattr(drive, asked["do"])(*asked["with"])
        except Exception as error:
            said = failed(error)
        print(json.dumps(said), flush=True)


main()
