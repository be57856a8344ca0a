#!/usr/bin/env python3
"""The official SDKs judge the mock server. See README.md; `run.py --help` for the options."""

import argparse
import signal
import subprocess
import sys
from collections import namedtuple

from running_mock import HERE, WORKSPACE, find_mock, running_mock  # first: it says where `install` is
from install import Trouble, coze_api, cozepy, without_proxy

RULES = WORKSPACE / "mock-server" / "rules.toml"
# Rules with a switch that no call of these SDKs can break.
OUT_OF_REACH = {
    "device.client": "takes two device apps, and the mock has one",
    "cors.answered": "only a browser asks; `just browser` switches it off",
    "cors.exposed": "only a browser asks; `just browser` reads the log id",
    "jwt.exp_after_iat": "both SDKs fix exp at an hour after iat",
}
RUN_SECONDS = 180

Sdk = namedtuple("Sdk", "name command environment")


def prepared(which):
    """An SDK, installed, and what starts its cases."""
    if which == "cozepy":
        command = [str(cozepy()), "-B", str(HERE / "cozepy_cases.py")]
        return Sdk("cozepy", command, without_proxy(PYTHONIOENCODING="utf-8"))
    command = ["node", str(HERE / "coze_api_cases.mjs")]
    return Sdk("@coze/api", command, without_proxy(RELEASED_SDKS_NPM=str(coze_api())))


def breakable_rules():
    """Rules that are on unless switched off. (Python 3.9 has no TOML reader; the table needs none.)"""
    rules = []
    for block in RULES.read_text(encoding="utf-8").split("[[rule]]")[1:]:
        fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        if fields["switch"] == "true" and fields.get("default") != "false":
            rules.append(fields["id"].strip('"'))
    return [rule for rule in rules if rule not in OUT_OF_REACH]


# --- runs ----------------------------------------------------------------------------------------

Result = namedtuple("Result", "red closing")


def judge(sdk, binary, broken=None, quiet=False):
    """One run of one SDK's cases: the names of those that are red, and the closing line."""
    with running_mock(binary, *(["--rule", f"{broken}=off"] if broken else [])) as info:
        try:
            done = subprocess.run(
                sdk.command,
                input=info.encode(),
                stdout=subprocess.PIPE,
                timeout=RUN_SECONDS,
                env=sdk.environment,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode()
            raise Trouble(f"{sdk.name}: no end after {RUN_SECONDS} s; it had said:\n{said}") from None
    lines = done.stdout.decode().splitlines()
    if not quiet:
        print(*lines, sep="\n", flush=True)
    green = sum(line.startswith("ok ") for line in lines)
    red = [line.split()[1] for line in lines if line.startswith("FAIL ")]
    closing = lines[-1] if lines else ""
    # A driver that dies half-way has given no verdict, and neither has one whose count is not its cases.
    counted = closing.endswith(f": {green} passed, {len(red)} failed") and green + len(red) > 0
    if not counted or done.returncode != (1 if red else 0):
        raise Trouble(f"{sdk.name}: the driver ended without a verdict (exit code {done.returncode})")
    return Result(red, closing)


def run_once(chosen, binary, broken):
    results = [judge(sdk, binary, broken) for sdk in chosen]
    print(*(result.closing for result in results), sep="\n")
    return not any(result.red for result in results)


def break_all(chosen, binary):
    """Each rule off in turn; true if each turned a case red. Nothing counts unless all is green with every rule on."""
    for sdk in chosen:
        whole = judge(sdk, binary, quiet=True)
        print(whole.closing, flush=True)
        if whole.red:
            print("red with every rule on:", *whole.red)
            return False
    print("\n| rule switched off | SDK | cases turned red |\n|---|---|---|", flush=True)
    rules, unseen = breakable_rules(), []
    for rule in rules:
        seen = False
        for sdk in chosen:
            red = judge(sdk, binary, rule, quiet=True).red
            seen = seen or bool(red)
            print(f"| {rule} | {sdk.name} | {', '.join(red) or 'none'} |", flush=True)
        if not seen:
            unseen.append(rule)
    for rule, why in OUT_OF_REACH.items():
        print(f"| {rule} | neither | out of reach: {why} |")
    print(f"\n{len(rules) - len(unseen)} of {len(rules)} rules turned a case red when switched off")
    if unseen:
        print("not seen by any SDK:", *unseen)
    return not unseen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--only", choices=["cozepy", "js"], help="one SDK instead of both")
    parser.add_argument(
        "--break",
        dest="broken",
        metavar="RULE",
        help="switch this rule of the mock off: the run must turn red; `all`: each in turn, as a table",
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the mock is stopped
    try:
        binary = find_mock(given.mock)
        chosen = [prepared(which) for which in ([given.only] if given.only else ["cozepy", "js"])]
        good = break_all(chosen, binary) if given.broken == "all" else run_once(chosen, binary, given.broken)
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
