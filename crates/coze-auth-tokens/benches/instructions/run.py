#!/usr/bin/env python3
"""Counts the instructions of each flow and of a fresh token, and compares them with counts.json, by toolchain.

A count must not be more than two in a hundred above its row. `UPDATE=1 REASON='why' just instructions` writes the rows of this
toolchain, and a row that changes names that reason. `--beside COMMIT` prints counts and times beside those of a commit instead.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[3]
TABLE = HERE / "counts.json"
MOST = 1.02
# Less than this is noise, and no reason to write a row anew.
NOISE = 0.001
# What differs between these two is the calls alone, without the start of the program.
FEW, MANY = 200, 1_200
ROUNDS, ROUND_CALLS = 15, 20_000
# Without the parts of libc that are chosen by the processor.
SAME_EVERYWHERE = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-BMI2,-LZCNT,-MOVBE"}


class Trouble(Exception):
    """Why there is no verdict."""


def run(*command, **options):
    done = subprocess.run(command, text=True, **options)
    if done.returncode:
        raise Trouble(f"this failed: {' '.join(map(str, command))}\n{done.stderr or ''}")
    return done.stdout


def valgrind():
    """It, installed on Debian and Ubuntu if it is missing."""
    found = shutil.which("valgrind")
    if found:
        return found
    if not shutil.which("apt-get"):
        raise Trouble("no valgrind: install it")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if root and not shutil.which("sudo"):
        raise Trouble("no valgrind, and no right to install it: run `apt-get install valgrind libc6-dbg` as root")
    run(*root, "apt-get", "update", "-q")
    run(*root, "apt-get", "install", "-q", "-y", "--no-install-recommends", "valgrind", "libc6-dbg")
    return shutil.which("valgrind") or "valgrind"


def toolchain():
    """What the counts depend on: compiler, target, and the libc that allocates."""
    told = dict(line.split(": ", 1) for line in run("rustc", "-vV", stdout=subprocess.PIPE).splitlines() if ": " in line)
    libc = "-".join(filter(None, platform.libc_ver())) or platform.system()
    return f"rustc {told['release']}, {told['host']}, {libc}"


def build(workspace, *command):
    """The program that this command of cargo builds."""
    command = ["cargo", *command, "--quiet", "--message-format", "json-render-diagnostics"]
    messages = run(*command, cwd=workspace, stdout=subprocess.PIPE)
    built = [json.loads(line) for line in messages.splitlines() if line.startswith("{")]
    programs = [one["executable"] for one in built if one.get("executable") and one["target"]["name"] == "instructions"]
    if not programs:
        raise Trouble("cargo built no program")
    return programs[-1]


def build_here():
    return build(WORKSPACE, "bench", "--locked", "--package", "coze-auth-tokens", "--bench", "instructions", "--no-run")


def names(program):
    return run(program, stdout=subprocess.PIPE).splitlines()


def count(program, name):
    """Instructions of one call."""

    def collected(calls):
        command = [valgrind(), "--tool=callgrind", "--callgrind-out-file=/dev/null", program, name, str(calls)]
        # Nothing of this environment but what a program needs: its size moves the stack.
        env = {"PATH": os.environ.get("PATH", ""), **SAME_EVERYWHERE}
        done = subprocess.run(command, env=env, text=True, capture_output=True)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or not found:
            raise Trouble(f"callgrind counted nothing of {name}:\n{done.stderr}")
        return int(found[1])

    return (collected(MANY) - collected(FEW)) / (MANY - FEW)


def count_all(program):
    valgrind()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        known = names(program)
        return dict(zip(known, pool.map(lambda name: round(count(program, name)), known)))


def table():
    return json.loads(TABLE.read_text()) if TABLE.exists() else {}


def write(key, counts, reason):
    if not reason.strip():
        raise Trouble("REASON is not set: a change of the table names its reason")
    whole = table()
    rows = whole.get(key, {})
    new = {}
    for name, counted in counts.items():
        old = rows.get(name)
        same = old and abs(counted / old["instructions"] - 1) <= NOISE
        new[name] = old if same else {"instructions": counted, "reason": reason}
    whole[key] = new
    lines = []
    for toolchain_key in sorted(whole):
        inner = [f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in whole[toolchain_key].items()]
        lines.append(f"  {json.dumps(toolchain_key)}: {{\n" + ",\n".join(inner) + "\n  }")
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{TABLE.relative_to(WORKSPACE)}: {key}")


def judge(key, counts):
    """Prints each count beside its row; true if none is too high."""
    rows = table().get(key)
    if rows is None:
        print(f"instructions: SKIPPED, the table has no rows for this toolchain ({key}).")
        print("    `UPDATE=1 REASON='a new toolchain' just instructions` on a commit that is known to be good writes them.")
        return True
    good = True
    for name in sorted({*rows, *counts}):
        if name not in counts or name not in rows:
            print(f"{name:<20} is in {'the table' if name in rows else 'the program'} alone")
            good = False
            continue
        ratio = counts[name] / rows[name]["instructions"]
        verdict = "" if ratio <= MOST else f"MORE THAN {MOST} ×"
        if ratio < 2 - MOST:
            verdict = "cheaper: UPDATE=1 writes it down"
        good &= ratio <= MOST
        print(f"{name:<20} {counts[name]:>8} instructions, {ratio:.4f} × {rows[name]['instructions']}  {verdict}")
    if not good:
        print("Make it as cheap as it was, or say why the table has to change: UPDATE=1 REASON='why' just instructions")
    return good


def beside(commit):
    """What is there now beside what was there at a commit."""
    if subprocess.run(["git", "cat-file", "-e", commit + "^{commit}"], cwd=WORKSPACE, capture_output=True).returncode:
        print(f"the history here does not go back to {commit}: nothing is compared with it")
        return
    # The one that `just mock-bench` makes.
    there = WORKSPACE / "target" / f"mock-{commit}"
    if not there.exists():
        run("git", "worktree", "prune", cwd=WORKSPACE)
        run("git", "worktree", "add", "--quiet", "--detach", there, commit, cwd=WORKSPACE)
    # The same program over the crates of then: a member of that workspace, so that it has its profile and its versions.
    package = there / "crates" / "instructions"
    (package / "src").mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "main.rs", package / "src" / "main.rs")
    shutil.copy(HERE / f"fresh_{commit}.txt", package / "src" / "fresh.rs")
    needs = "".join(f"{crate}.workspace = true\n" for crate in ("coze-auth-core", "coze-auth-store"))
    (package / "Cargo.toml").write_text(f'[package]\nname = "instructions"\nedition.workspace = true\n[dependencies]\n{needs}')
    target = ("--target-dir", there / "target")
    programs = build(there, "build", "--release", "--package", "instructions", *target), build_here()
    then, now = map(count_all, programs)
    print(f"Instructions and time of one call, beside {commit}: the median of {ROUNDS} rounds that take turns.")
    for name in now:
        rounds = [[nanoseconds(program, name) for program in programs] for _ in range(ROUNDS)]
        before, after = (statistics.median(column) for column in zip(*rounds))
        print(
            f"{name:<20} {now[name]:>8} beside {then[name]:>8} instructions: {now[name] / then[name]:.3f} ×"
            f"   {after:>7.0f} beside {before:>7.0f} ns: {after / before:.3f} ×"
        )


def nanoseconds(program, name):
    return int(run(program, name, str(ROUND_CALLS), stdout=subprocess.PIPE)) / ROUND_CALLS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", metavar="COMMIT", help="prints what is there beside what was there at this commit")
    given = parser.parse_args()
    try:
        if platform.system() != "Linux":
            print(f"instructions: SKIPPED, valgrind is not asked on {platform.system()}.")
            return 0
        if given.beside:
            beside(given.beside)
            return 0
        key = toolchain()
        if not os.environ.get("UPDATE") and key not in table():
            return 0 if judge(key, {}) else 1
        counts = count_all(build_here())
        if os.environ.get("UPDATE"):
            write(key, counts, os.environ.get("REASON", ""))
        return 0 if judge(key, counts) else 1
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
