#!/usr/bin/env python3
"""Coze's released SDKs judge the mock server. See README.md; `run.py --help` for the options."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from running_mock import HERE, WORKSPACE, clean, find_mock, running, running_mock  # first: it says where `install` is
import install
from install import Missing, Trouble

RULES = WORKSPACE / "mock-server" / "rules.toml"
# Rules with a switch that no call of these SDKs can break.
OUT_OF_REACH = {
    "cors.answered": "only a browser asks; `just browser` switches it off",
    "cors.exposed": "only a browser asks; `just browser` reads the log id",
}
SHIMS = WORKSPACE / "conformance" / "clients" / "shims"
RUN_SECONDS = 600
AT_ONCE = 2

# --- the SDKs ------------------------------------------------------------------------------------

# Its name, what starts its cases, and their environment.
Sdk = namedtuple("Sdk", "name command environment")


def python(name, cases):
    # Reading the CA certificates, which nothing here needs, would take half of the time.
    none = install.SDKS / "no-certificates"
    none.mkdir(parents=True, exist_ok=True)
    environment = clean(PYTHONIOENCODING="utf-8", SSL_CERT_FILE="", SSL_CERT_DIR=str(none))
    return Sdk(name, [str(install.cozepy()), "-B", str(HERE / cases)], environment)


def cozepy():
    return python("cozepy", "cozepy_cases.py")


def js():
    npm = str(install.coze_api())
    return Sdk("@coze/api", ["node", str(HERE / "coze_api_cases.mjs")], clean(RELEASED_SDKS_NPM=npm))


def in_go(name, *files):
    sources = [HERE / f"{file}.go" for file in ("mock_case", *files)]
    program = install.go_program(f"judge-{name}", sources, verb=("test", "-c"))
    return Sdk(name, [str(program)], clean())


def go():
    return in_go("coze-go", "coze_go_cases_test", "coze_go_flows", "coze_go_refusals", "coze_go_refused")


def in_java(name, library, on_our_clock, *files):
    sources = [*(HERE / f"{file}.java" for file in ("Mock", "SdkTime", *files)), SHIMS / "ShimClock.java"]
    start = install.java_program(f"judge-{name}", sources, library, "shims", agent=("ShimClock", on_our_clock))
    return Sdk(name, [*start, files[0]], clean())


def java():
    return in_java("coze-java", "coze", "com/coze/", "CozeJavaCases", "CozeJavaFlows", "CozeJavaRefusals", "CozeJavaRefused")


def loop_python():
    return python("cozeloop-py", "cozeloop_cases.py")


def workload():
    # requests takes a password for a host from here, and puts it in the place of the Bearer.
    sdk = python("coze-workload-identity", "workload_cases.py")
    return sdk._replace(environment={**sdk.environment, "NETRC": os.devnull})


def loop_go():
    return in_go("cozeloop-go", "cozeloop_go_cases_test")


def loop_java():
    return in_java("cozeloop-java", "loop", "com/coze/loop/auth/", "CozeloopJavaCases")


JUDGES = {
    "cozepy": cozepy,
    "js": js,
    "go": go,
    "java": java,
    "loop-python": loop_python,
    "loop-go": loop_go,
    "loop-java": loop_java,
    "workload": workload,
}


def prepared(names):
    """The SDKs of these names whose toolchain is there, and what is missing for the others."""
    sdks, skipped = [], []
    for name in names:
        try:
            sdks.append(JUDGES[name]())
        except Missing as why:
            skipped.append(f"{name}: {why}")
    return sdks, skipped


# --- rules ---------------------------------------------------------------------------------------


def breakable_rules():
    """Rules that are on unless switched off. (Python 3.9 has no TOML reader; the table needs none.)"""
    rules = []
    for block in RULES.read_text(encoding="utf-8").split("[[rule]]")[1:]:
        fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        if fields["switch"] == "true" and fields.get("default") != "false":
            rules.append(fields["id"].strip('"'))
    return [rule for rule in rules if rule not in OUT_OF_REACH]


def worlds_name(sdk):
    return re.sub(r"[^\w.-]", "", sdk.name)


def world(sdk, rule):
    """What an SDK makes its worlds of, one for each case: the beginning of their name, and their configuration."""
    switched_off = f'[rules]\n{rule} = "off"\n' if rule else ""
    return {"name": worlds_name(sdk) + (f".{rule}" if rule else ""), "config": f'[clock]\nmode = "frozen"\n{switched_off}'}


# --- runs ----------------------------------------------------------------------------------------

# What an SDK said of one world: its lines for each case by the case's name, those of them that are red, the closing line.
Verdict = namedtuple("Verdict", "cases red closing")


_drivers = []  # all that were started


def judge(sdk, info, rules):
    """One start of an SDK, which runs all of its cases for each of these rules, each off in its turn. A verdict for each."""
    given = {**info, "worlds": [world(sdk, rule) for rule in rules]}
    log = install.SDKS / f"{worlds_name(sdk)}.log"  # some SDKs log each refusal there; the cases judge them
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with log.open("wb") as stderr, subprocess.Popen(sdk.command, **pipes, stderr=stderr, env=sdk.environment) as driver:
        _drivers.append(driver)
        try:
            stdout, _ = driver.communicate(json.dumps(given).encode(), timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired as late:
            driver.kill()
            said = (late.stdout or b"").decode()
            raise Trouble(f"{sdk.name}: no end after {RUN_SECONDS} s; it had said:\n{said}") from None
    verdicts, cases = [], {}
    for line in stdout.decode().splitlines():
        if line.startswith(("ok ", "FAIL ")):
            cases[line.split()[1]] = line
            continue
        red = [name for name, said in cases.items() if said.startswith("FAIL ")]
        # A driver that dies half-way has given no verdict, and neither has one whose count is not its cases.
        if not cases or not line.endswith(f": {len(cases) - len(red)} passed, {len(red)} failed"):
            raise Trouble(f"{sdk.name}: this is not a verdict: {line}")
        verdicts.append(Verdict(cases, red, line))
        cases = {}
    if cases or len(verdicts) != len(rules) or driver.returncode != any(verdict.red for verdict in verdicts):
        said = log.read_text(errors="replace")[-2000:]
        raise Trouble(f"{sdk.name}: the driver ended without a verdict (exit code {driver.returncode}); {log} ends:\n{said}")
    return verdicts


def judge_all(sdks, binary, rules):
    """The verdicts of each SDK, in the order of the SDKs."""
    with running_mock(binary, "--config", str(HERE / "mock.toml")) as line, ThreadPoolExecutor(AT_ONCE) as pool:
        info = json.loads(line)
        try:
            return list(pool.map(lambda sdk: judge(sdk, info, rules), sdks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for driver in _drivers:
                driver.kill()
            raise


# --- through a shadow ----------------------------------------------------------------------------

OFFICIAL = ["cozepy", "js", "go", "java"]
WAYS = ["base", "proxy"]


def find_shadowed():
    """The program that is a mock with a shadow before it."""
    if subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", "coze-auth-mock", "--example", "shadowed"], cwd=WORKSPACE).returncode:
        raise Trouble("the shadow does not build")
    return install.TARGET / "debug" / "examples" / f"shadowed{install.EXE}"


def by_proxy(sdk, info):
    """The SDK, whose program has the shadow as its proxy for https and trusts its certificate."""
    folder = install.SDKS / "shadowed"
    ca = folder / f"{worlds_name(sdk)}.pem"
    ca.write_text(info["shadow_ca"])
    more = {"HTTPS_PROXY": info["shadow"], "NO_PROXY": "", "no_proxy": "", "SSL_CERT_FILE": str(ca), "NODE_EXTRA_CA_CERTS": str(ca)}
    command = sdk.command
    if "java" in sdk.name:
        store = folder / "shadow.jks"
        store.unlink(missing_ok=True)
        password = ["-storepass", "changeit"]
        importing = ["keytool", "-importcert", "-noprompt", "-alias", "shadow", "-file", str(ca), "-keystore", str(store), *password]
        subprocess.run(importing, check=True, capture_output=True)
        host, port = info["shadow"].split("://")[1].split(":")
        options = [f"-Dhttps.proxyHost={host}", f"-Dhttps.proxyPort={port}", f"-Djavax.net.ssl.trustStore={store}"]
        command = [command[0], *options, "-Djavax.net.ssl.trustStorePassword=changeit", *command[1:]]
    return sdk._replace(command=command, environment={**sdk.environment, **more})


def shadowed(sdk, program, way, rule):
    """The verdict of an SDK whose requests go through a shadow, and the shadow's report."""
    command = [str(program), str(HERE / "mock.toml")]
    if way == "proxy":
        # The one way has the consent page, behind which the shadow sees no code, and the other redirects at once.
        folder = install.SDKS / "shadowed"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / f"{worlds_name(sdk)}.toml"
        mock = (HERE / "mock.toml").read_text(encoding="utf-8")
        config.write_text(re.sub(r'kind = "(web|pkce)"', r'\g<0>\nconsent = "approve"', mock), encoding="utf-8")
        command = [str(program), str(config), "--proxy"]
    with running(f"shadowed-{worlds_name(sdk)}-{way}", command) as line:
        info = json.loads(line)
        verdict = judge(by_proxy(sdk, info) if way == "proxy" else sdk, info, [rule])[0]
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{info['shadow']}/_mock/v1/shadow", timeout=30) as reply:
            return verdict, json.load(reply)


def run_shadowed(sdks, rule):
    """Every case through a shadow, both ways: nothing may differ, or exactly the rule that is off in the mock behind it."""
    program = find_shadowed()
    runs = [(sdk, way) for sdk in sdks for way in WAYS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        came = list(pool.map(lambda run: shadowed(run[0], program, run[1], rule), runs))
    rows, wrong, reasons, named = [], [], {}, set()
    for (sdk, way), (verdict, report) in zip(runs, came):
        differing = {row["rule"]: row for row in report["rules"] if row["differs"]}
        named.update(differing)
        # Through the base the shadow itself refuses what a JWT app sends, since its audience is the shadow's.
        refused = [name for name in verdict.red if way == "base" and "jwt" in name]
        red = [name for name in verdict.red if name not in refused]
        if rule is None:
            if report["refused_by_the_shadow"] < len(refused):
                wrong.append(f"{sdk.name}, {way}: {len(refused)} cases of JWT are red, and the shadow has refused {report['refused_by_the_shadow']} requests")
            wrong += [f"{sdk.name}, {way}: {verdict.cases[name]}" for name in red]
        for row in differing.values():
            for one in row["differences"] if row["rule"] != rule else []:
                wrong.append(f"{sdk.name}, {way}: {row['rule']}: {one['place']}: {one['what']}: the mock {one['expected']}, the upstream {one['actual']}")
        for row in report["rules"]:
            for one in row["reasons"]:
                of = reasons.setdefault((row["rule"], one["reason"]), {})
                of[sdk.name] = of.get(sdk.name, 0) + one["times"]
        agrees = sum(row["agrees"] for row in report["rules"])
        unjudged = sum(row["not_judged"] for row in report["rules"])
        passed = len(verdict.cases) - len(verdict.red)
        numbers = [passed, len(refused), report["exchanges"], agrees, len(differing), unjudged]
        rows.append([sdk.name, way, *map(str, numbers)])
    print_table(["SDK", "way in", "cases passed", "JWT, refused by the shadow", "exchanges", "agree", "rules that differ", "not judged"], rows)
    print("Not judged:")
    for (about, reason), of in sorted(reasons.items()):
        print(f"  {about}: {reason} ({', '.join(f'{name} {times}' for name, times in of.items())})")
    print(*wrong, sep="\n")
    if rule:
        print(f"off in the mock: {rule}; named by the shadow: {', '.join(sorted(named)) or 'nothing'}")
        return named == {rule}
    return not wrong


def print_table(heads, rows):
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("|", " | ".join(row), "|")
    print()


def run_once(sdks, binary, rule):
    """True if no case is red. A table of all cases, and what those say that are red."""
    verdicts = [verdicts[0] for verdicts in judge_all(sdks, binary, [rule])]
    names = list(dict.fromkeys(name for verdict in verdicts for name in verdict.cases))
    flows = list(dict.fromkeys(name.split(".")[0] for name in names))
    marks = {"ok": "ok", "FAIL": "RED"}
    print_table(
        ["case", *(sdk.name for sdk in sdks)],
        [
            [name, *(marks[v.cases[name].split()[0]] if name in v.cases else "" for v in verdicts)]
            for flow in flows
            for name in names
            if name.split(".")[0] == flow
        ],
    )
    for sdk, verdict in zip(sdks, verdicts):
        for name in verdict.red:
            print(f"{sdk.name}: {verdict.cases[name]}")
    print(*(verdict.closing for verdict in verdicts), sep="\n")
    return not any(verdict.red for verdict in verdicts)


def break_all(sdks, binary, all_there):
    """Each rule off in its turn; true if each turned a case red. Nothing counts unless all is green with every rule on."""
    rules = breakable_rules()
    verdicts = judge_all(sdks, binary, [None, *rules])
    green = True
    for sdk, (whole, *_) in zip(sdks, verdicts):
        print(whole.closing)
        for name in whole.red:
            green = False
            print(f"{sdk.name}, with every rule on: {whole.cases[name]}")
    if not green:
        return False
    print("\nCases that turned red, by the rule that was switched off:\n")
    rows, unseen = [], []
    for number, rule in enumerate(rules, start=1):
        red = [len(verdict[number].red) for verdict in verdicts]
        rows.append([rule, *(str(count or "") for count in red)])
        if not any(red):
            unseen.append(rule)
    print_table(["rule", *(sdk.name for sdk in sdks)], rows)
    for rule, why in OUT_OF_REACH.items():
        print(f"{rule}: out of reach: {why}")
    print(f"{len(rules) - len(unseen)} of {len(rules)} rules turned a case red when switched off")
    if unseen:
        print("not seen by any SDK:" if all_there else "not seen by any SDK that was there:", *unseen)
    return not (unseen and all_there)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--only", choices=list(JUDGES), action="append", help="this SDK, instead of all; may be given again")
    parser.add_argument(
        "--break",
        dest="broken",
        metavar="RULE",
        help="switch this rule of the mock off: the run must turn red; `all`: each in turn, as a table",
    )
    parser.add_argument("--shadow", action="store_true", help="the four official SDKs through a shadow, as their base and as their proxy: nothing may differ, with --break RULE this rule alone")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the mock is stopped
    try:
        if given.shadow and given.broken == "all":
            raise Trouble("--shadow takes one rule at a time")
        sdks, skipped = prepared(given.only or (OFFICIAL if given.shadow else JUDGES))
        if not sdks or (given.only and skipped):
            raise Trouble("; ".join(skipped))
        if given.shadow:
            good = run_shadowed(sdks, given.broken)
        elif given.broken == "all":
            good = break_all(sdks, find_mock(given.mock), not skipped)
        else:
            good = run_once(sdks, find_mock(given.mock), given.broken)
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    for why in skipped:
        print(f"skipped: {why}")
    # CI skips nothing.
    return 0 if good and not (skipped and os.environ.get("CI")) else 1


if __name__ == "__main__":
    sys.exit(main())
