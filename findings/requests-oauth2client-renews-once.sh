#!/bin/sh
# PyPI requests-oauth2client 1.8.0: OAuth2AccessTokenAuth renews a token that has ended. Where the answer names no new refresh token, as RFC 6749 §6
# allows and many servers do, the old one is lost: after the next end there is no renewal any more, and each request raises ExpiredAccessToken,
# whose text is the access token and nothing else. A test that renews once passes.
# Needs python3 with venv. Exit 0: behaves as described.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT; cd "$T"
python3 -m venv v; v/bin/pip -q --disable-pip-version-check install requests-oauth2client==1.8.0
cat > t.py <<'P'
import json, threading, time; from http.server import BaseHTTPRequestHandler, HTTPServer
renewals = []; used = []
class H(BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def answer(self, o):
        b = json.dumps(o).encode(); self.send_response(200); self.send_header("Content-Type", "application/json"); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def do_GET(self): used.append(self.headers["Authorization"]); self.answer({})
    def do_POST(self): self.rfile.read(int(self.headers["Content-Length"])); renewals.append(1); self.answer({"access_token": "a1", "token_type": "Bearer", "expires_in": 2})
s = HTTPServer(("127.0.0.1", 0), H); threading.Thread(target=s.serve_forever, daemon=True).start(); B = f"http://127.0.0.1:{s.server_port}"
import requests; from requests_oauth2client import BearerToken, OAuth2AccessTokenAuth, OAuth2Client
auth = OAuth2AccessTokenAuth(OAuth2Client(B + "/token", auth=("app", "s"), testing=True), BearerToken(access_token="a0", expires_in=1, refresh_token="r0"))
requests.get(B + "/api", auth=auth); time.sleep(3)
try: requests.get(B + "/api", auth=auth); why = "none"
except Exception as e: why = f"{type(e).__name__}: {e}"
print("requests-oauth2client 1.8.0 | renewals:", len(renewals), "| sent:", used, "| after the second end:", why, "| refresh token:", auth.token.refresh_token)
raise SystemExit(0 if len(renewals) == 1 and used == ["Bearer a1"] and why == "ExpiredAccessToken: a1" and auth.token.refresh_token is None else 1)
P
v/bin/python t.py
