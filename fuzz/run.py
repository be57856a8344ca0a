#!/usr/bin/env python3
"""The fuzz targets under libFuzzer: `just fuzz-smoke`, `just fuzz TARGET [SECONDS]`, `just fuzz minimize`.

cargo-fuzz builds one program of all targets, with the nightly compiler and AddressSanitizer where a nightly compiler is installed, else with the
usual compiler and without a sanitizer. What a run finds new stays in target/fuzz/corpus, what fails in target/fuzz/failures.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
WORK = ROOT / "target" / "fuzz"
CARGO_FUZZ = "0.13.2"
TARGETS = sorted(path.name for path in CORPUS.iterdir() if path.is_dir())
# Longest input in bytes, where it is not that of the others.
LONGEST = {"record": 32_768, "control": 16_384}
# Seconds for one input, far more than any takes beside a busy machine, and megabytes.
LIMITS = ["-timeout=60", "-rss_limit_mb=3072", "-malloc_limit_mb=512", "-detect_leaks=0"]
# All of the corpus in the repository, and of one target.
MOST_BYTES, MOST_OF_ONE = 950_000, 80_000


def replay():
    """Every target over the corpus and the seeds, on the usual compiler."""
    command = ["cargo", "test", "--quiet", "--locked", "--package", "coze-auth-fuzz", "--test", "replay"]
    subprocess.run(command, cwd=ROOT, check=True)


def built():
    """The program that libFuzzer drives, or None where it cannot be built."""
    if not shutil.which("c++"):
        print("libFuzzer is C++, and there is no C++ compiler here (c++): the corpus was replayed, and nothing was fuzzed")
        return None
    cargo_fuzz = ROOT / "target" / "cargo-fuzz" / "bin" / "cargo-fuzz"
    if not cargo_fuzz.exists():
        install = ["cargo", "install", "--quiet", "--locked", "--version", CARGO_FUZZ, "cargo-fuzz"]
        folders = ["--root", "target/cargo-fuzz", "--target-dir", "target/cargo-fuzz/build"]
        subprocess.run(install + folders, cwd=ROOT, check=True)
    env = dict(os.environ)
    # What the release profile does for a small binary costs a build of hundreds of crates minutes.
    env.update(CARGO_PROFILE_RELEASE_LTO="off", CARGO_PROFILE_RELEASE_STRIP="none", CARGO_PROFILE_RELEASE_OPT_LEVEL="1")
    host = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    host = re.search("host: (.*)", host)[1]
    sanitizer = "none"
    if shutil.which("rustup"):
        toolchains = subprocess.run(["rustup", "toolchain", "list"], capture_output=True, text=True).stdout
        nightly = re.search(rf"^nightly-{host}", toolchains, re.M)
        if nightly:
            sanitizer = "address"
            env["RUSTUP_TOOLCHAIN"] = nightly[0]
    if sanitizer == "none":
        print("no nightly compiler is installed here: without AddressSanitizer")
    command = [cargo_fuzz, "fuzz", "build", "--fuzz-dir", "fuzz", "--target-dir", "target/fuzz", "--features", "libfuzzer"]
    subprocess.run([*command, "--sanitizer", sanitizer, "--target", host, "target"], cwd=ROOT, env=env, check=True)
    return WORK / host / "release" / "target"


def folder(kind, target):
    path = WORK / kind / target
    path.mkdir(parents=True, exist_ok=True)
    return path


def seeded(target):
    """The folder of the seeds, written anew: the mock's answers change with it."""
    path = folder("seeds", target)
    shutil.rmtree(path)
    command = ["cargo", "run", "--quiet", "--locked", "--package", "coze-auth-fuzz", "--example", "seeds", "--", target, path]
    subprocess.run(command, cwd=ROOT, check=True)
    return path


def drive(program, target, arguments, folders):
    """Runs the program, and returns its exit code with what libFuzzer has told."""
    failures = folder("failures", target)
    command = [program, *LIMITS, f"-max_len={LONGEST.get(target, 8_192)}", "-dict=fuzz/words.dict", "-print_final_stats=1"]
    command += [f"-artifact_prefix={failures}/", *arguments, *folders]
    env = {**os.environ, "FUZZ_TARGET": target, "RUST_BACKTRACE": "1"}
    env["ASAN_OPTIONS"] = "detect_odr_violation=0"
    ran = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return ran.returncode, ran.stderr.decode(errors="replace")


class Figures:
    """What a run of libFuzzer came to."""

    def __init__(self, told):
        def last(pattern):
            found = re.findall(pattern, told)
            return int(found[-1]) if found else 0

        self.executions = last(r"stat::number_of_executed_units: (\d+)") or last(r"^#(\d+)")
        self.edges = last(r"cov: (\d+)")
        self.features = last(r"ft: (\d+)")
        self.memory = last(r"stat::peak_rss_mb: +(\d+)")


def fuzz(program, target, seconds):
    """Fuzzes a target, tells a row, and returns its figures; None if it has failed."""
    corpus = folder("corpus", target)
    begun = time.time()
    code, told = drive(program, target, [f"-max_total_time={seconds}"], [corpus, CORPUS / target, seeded(target)])
    figures = Figures(told)
    row = f"{target:<13} {figures.executions:>9} runs  {figures.edges:>6} edges  {len(list(corpus.iterdir())):>5} new inputs"
    print(f"{row}  {figures.memory:>5} MB  {time.time() - begun:>4.0f} s", flush=True)
    if code == 0:
        return figures
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    print("\n".join(lines[-80:]))
    print(f"{target} has failed: `FUZZ_TARGET={target} {program} FILE` repeats it")
    return None


def minimize(program, targets):
    """Writes the corpus of the repository anew: of all inputs those that cover something, the smallest first."""
    for target in targets:
        merged = folder("merged", target)
        shutil.rmtree(merged)
        merged.mkdir()
        code, told = drive(program, target, ["-set_cover_merge=1"], [merged, CORPUS / target, folder("corpus", target), seeded(target)])
        if code:
            sys.exit(f"{told[-4_000:]}\n{target}: the merge has failed")
        own = CORPUS / target
        for path in own.iterdir():
            path.unlink()
        size = count = 0
        for path in sorted(merged.iterdir(), key=lambda path: path.stat().st_size):
            if size + path.stat().st_size > MOST_OF_ONE:
                break
            size, count = size + path.stat().st_size, count + 1
            shutil.copy(path, own / path.name)
        print(f"{target:<13} {count} of {len(list(merged.iterdir()))} inputs, {size} bytes", flush=True)
    size = sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file())
    assert size <= MOST_BYTES, f"the corpus has {size} bytes"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", help="smoke, minimize, or a target", choices=["smoke", "minimize", *TARGETS])
    parser.add_argument("rest", nargs="*", help="seconds for each target; of minimize, the targets")
    arguments = parser.parse_args()
    if arguments.what == "smoke":
        replay()
    program = built()
    if program is None:
        sys.exit(0 if arguments.what == "smoke" else 1)
    if arguments.what == "minimize":
        minimize(program, arguments.rest or TARGETS)
        return
    is_smoke = arguments.what == "smoke"
    seconds = int(arguments.rest[0]) if arguments.rest else (5 if is_smoke else 60)
    targets = TARGETS if is_smoke else [arguments.what]
    all_figures = [fuzz(program, target, seconds) for target in targets]
    good = [figures for figures in all_figures if figures]
    runs = sum(figures.executions for figures in good)
    failed = len(targets) - len(good)
    print(f"{len(targets)} targets, {runs} runs, {sum(figures.edges for figures in good)} edges, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
