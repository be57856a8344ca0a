#!/usr/bin/env python3
"""docs/from-cozepy.md names calls of cozepy: each is in the released package, with these parameters. `just sdks` runs it."""

import ast
import re
import subprocess
import sys

from install import WORKSPACE, Trouble, cozepy

# Run by the interpreter that has cozepy, with the expressions as arguments.
LOOK = """
import ast, inspect, sys
import cozepy, cozepy.auth
apps = [getattr(cozepy, name) for name in dir(cozepy) if name.endswith("OAuthApp")]
def holders(base):  # of what the page calls app, coze, device_code
    return {"app": apps, "device_code": [cozepy.auth.DeviceAuthCode], "coze": [cozepy.Coze]}.get(base) or [getattr(cozepy, base, None) or getattr(cozepy.auth, base)]
def takes(function, call):
    known = inspect.signature(function).parameters
    return all(name in known for name in call)
for text in sys.argv[1:]:
    node = ast.parse(text, mode="eval").body
    call = None
    if isinstance(node, ast.Call):
        call = [argument.id for argument in node.args] + [keyword.arg for keyword in node.keywords]
        node = node.func
    path = ast.unparse(node).split(".")
    if len(path) == 1:
        found = [getattr(cozepy, path[0], None) or getattr(cozepy.auth, path[0], None)]
    elif path[0] == "coze":
        found = [getattr(getattr(cozepy, "UsersClient", None) or __import__("cozepy.users").users.UsersClient, path[-1], None)]
    else:
        fields = lambda holder: getattr(holder, "model_fields", {})
        found = [getattr(holder, path[1], None) or fields(holder).get(path[1]) for holder in holders(path[0])]
        if path == ["CozeAPIError", "code"] or path == ["CozeAPIError", "logid"]:
            found = [path[1] in vars(cozepy.CozeAPIError())]
    found = [one for one in found if one]
    if not found or call is not None and not any(takes(one, call) for one in found):
        sys.exit(f"docs/from-cozepy.md names {text}, which cozepy {cozepy.__dict__.get('VERSION', '')} does not have")
print(f"docs/from-cozepy.md: {len(sys.argv) - 1} names are in the released cozepy")
"""
# Of Python itself, of other packages, and members that stand alone.
OTHERS = {"cozepy", "os.getenv", "time.sleep", "httpx", "pydantic", "base_url", "interval", "slow_down", "refresh_access_token"}
OTHERS |= {"access_token", "expires_in", "refresh_token", "None", "get_access_token"}


def main():
    page = (WORKSPACE / "docs" / "from-cozepy.md").read_text(encoding="utf-8")
    cells = [row.split("|")[1] for row in page.splitlines() if row.startswith("| ") and not row.startswith("| |")]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} - OTHERS
    calls = sorted(name for name in named if "\\" not in name)
    for call in calls:
        ast.parse(call, mode="eval")
    if len(calls) < 25:
        sys.exit(f"only {calls} were found")
    try:
        return subprocess.run([cozepy(), "-c", LOOK, *calls]).returncode
    except Trouble as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
