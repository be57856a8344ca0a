#!/usr/bin/env python3
"""Starts a shim by its name, `start.py cozepy`, after installing the SDK if it is not there."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "released-sdks"))
from install import Trouble, coze_api, cozepy, go_program, java_program, without_proxy  # noqa: E402

SHIMS = ["cozepy", "cozepy-async", "coze-api", "coze-go", "coze-java", "coze-workload-identity", "example", "first", "first-go", "first-java"]


def coze_go():
    sources = [HERE / name for name in ("coze_go_shim.go", "shim_wire.go", "go_clock.py")]
    clock = [sys.executable, "-B", "go_clock.py", "github.com/coze-dev/coze-go", "auth.go", "auth_token.go", "request.go"]
    return go_program("coze-go-shim", sources, clock, flags=["-race", "-overlay", "overlay.json"])


def coze_java(on_our_clock="com/coze/"):
    sources = [HERE / f"{name}.java" for name in ("CozeJavaShim", "ShimWire", "ShimClock")]
    return [*java_program("coze-java-shim", sources, "coze", "shims", agent=("ShimClock", on_our_clock)), "CozeJavaShim"]


def command(name):
    """What starts the shim, and its environment; installs its SDK if it is not there."""
    if name == "coze-api":
        return ["node", str(HERE / "coze_api_shim.mjs")], without_proxy(RELEASED_SDKS_NPM=str(coze_api()))
    if name == "coze-go":
        program = coze_go()
        # What the detector of races has seen is in files, one a process; it need not wait for more at the end.
        return [str(program)], without_proxy(GORACE=f"atexit_sleep_ms=0 log_path={program.with_name('race')}")
    if name == "coze-java":
        return coze_java(), without_proxy()
    if name == "first-go":
        return [str(go_program("first-shim", [HERE / "first_shim.go"]))], without_proxy()
    if name == "first-java":
        return [*java_program("first-shim", [HERE / "FirstShim.java"], "coze"), "FirstShim"], without_proxy()
    if name in ("example", "first"):
        return [sys.executable, "-B", str(HERE / f"{name}_shim.py")], without_proxy()
    if name == "coze-workload-identity":
        return [str(cozepy()), "-B", str(HERE / "coze_workload_identity_shim.py")], without_proxy()
    more = ["--async"] if name == "cozepy-async" else []
    return [str(cozepy()), "-B", str(HERE / "cozepy_shim.py"), *more], without_proxy()


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in SHIMS]:
        sys.exit(f"usage: start.py {'|'.join(SHIMS)}")
    try:
        line, environment = command(sys.argv[1])
    except (Trouble, OSError) as why:
        sys.exit(str(why))
    if os.name == "nt":  # its exec leaves the parent without a child to wait for
        sys.exit(subprocess.run(line, env=environment).returncode)
    os.execvpe(line[0], line, environment)
