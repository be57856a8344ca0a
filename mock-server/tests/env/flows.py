"""Flows of cozepy over a coze_oauth_config.json each: `flows.py KIND FILE …`. What a person does is asked for: see run.py."""

import json
import secrets
import sys

from cozepy import Coze, TokenAuth, load_oauth_app_from_config

REDIRECT = "http://127.0.0.1:8080/callback"  # as the quickstarts have it


def ask(what, value):
    print(what, value, flush=True)
    return sys.stdin.readline().strip()


for kind, path in zip(sys.argv[1::2], sys.argv[2::2]):
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    app = load_oauth_app_from_config(config)
    if kind == "web":
        token = app.get_access_token(REDIRECT, ask("OPEN", app.get_oauth_url(REDIRECT, state="s")))
        token = app.refresh_access_token(token.refresh_token)
    elif kind == "pkce":
        verifier = secrets.token_urlsafe(48)
        url = app.get_oauth_url(REDIRECT, verifier, "S256", state="s")
        token = app.get_access_token(REDIRECT, ask("OPEN", url), verifier)
        token = app.refresh_access_token(token.refresh_token)
    elif kind == "device":
        device = app.get_device_code()
        ask("DEVICE", device.user_code)
        token = app.get_access_token(device.device_code, poll=True)
        token = app.refresh_access_token(token.refresh_token)
    else:
        token = app.get_access_token(ttl=900)
    coze = Coze(auth=TokenAuth(token.access_token), base_url=config["coze_api_base"])
    print("DONE", kind, coze.users.me().user_name, flush=True)
