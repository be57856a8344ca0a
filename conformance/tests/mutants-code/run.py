#!/usr/bin/env python3
"""`just mutants-code`: cargo-mutants changes one place of the code at a time, and the tests of that crate have to notice.

What no test notices has to be explained in survivors.toml. Works in copies of the tree below target/mutants-code and keeps what it found
there, so it goes on where it stopped: a result stands while the mutated file and the tests that decided it are what they were.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / "target" / "mutants-code"
RESULTS = HOME / "results.json"
SURVIVORS = Path(__file__).with_name("survivors.toml")
GOAL = 95.0
# One call of cargo-mutants has so many mutants.
BATCH = 16
# A night has one mutant of so many, and the next night another.
NIGHTS = 7

FEATURES = {
    "coze-auth-core": "",
    "coze-auth-store": "conformance",
    "coze-auth-tokens": "tokio,tracing",
}
# File below crates/PACKAGE/src, and the tests that are asked first, since they are about it: a build with all tests of its crate is only
# made for what those let by. `lib` are the tests within src.
FILES = {
    "coze-auth-core": {
        "envelope.rs": "answers dates",
        "authorize.rs": "authorize",
        "endpoint.rs": "endpoints requests workload",
        "refresh.rs": "requests",
        "cache.rs": "cache cache_clocks cache_failures cache_lasting cache_late cache_stored",
        "cache/policy.rs": "cache cache_clocks cache_lasting",
    },
    "coze-auth-store": {
        "file.rs": "files planted",
        "file/folder.rs": "files planted",
        "file/held.rs": "beside files planted",
        "file/record.rs": "beside files",
        "file/safe.rs": "files planted",
    },
    "coze-auth-tokens": {
        "origins.rs": "parts",
        "refresh.rs": "renewals workload",
        "refresh/sharing.rs": "sharing",
        "shared.rs": "lasting logins renewals slow_stores turns whoami",
        "slot.rs": "lib sessions",
    },
}


class Stopped(Exception):
    """The time is over, or Ctrl-C was pressed."""


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest(paths: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.relative_to(ROOT)}\0".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def tests_digest(package: str, asked: str) -> str:
    """Of the files of these test targets and of those that test targets share; for `all` of the whole crate, for `lib` of its src."""
    crate = ROOT / "crates" / package
    tests, src = crate / "tests", files_below(crate / "src")
    if asked == "all":
        return digest([crate / "Cargo.toml", *src, *files_below(tests)])
    targets = {path.stem: [path] for path in tests.glob("*.rs")} | {path.parent.name: files_below(path.parent) for path in tests.glob("*/main.rs")}
    shared = [path for folder in sorted(tests.iterdir()) if folder.is_dir() and folder.name not in targets for path in files_below(folder)]
    own = [path for target in asked.split() for path in (src if target == "lib" else targets[target])]
    return digest(own + shared)


def refresh_copy(tree: Path) -> None:
    """Brings a copy of the tree up to date. What is the same is left alone, so that cargo does not build it anew."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    for path in files_below(tree) if tree.exists() else []:
        if str(path.relative_to(tree)) not in names:
            path.unlink()
    for name in names:
        here, there = ROOT / name, tree / name
        if not there.is_file() or here.read_bytes() != there.read_bytes():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, there)
            shutil.copymode(here, there)


def environment(build: Path) -> dict:
    # Failures are not made smaller and not kept, and each mutant meets the same random values.
    proptest = {"PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_RNG_SEED": "1", "PROPTEST_FAILURE_PERSISTENCE": "off"}
    return dict(os.environ, CARGO_TARGET_DIR=str(build), CARGO_PROFILE_DEV_DEBUG="0", RUST_BACKTRACE="0", **proptest)


def features(package: str) -> list[str]:
    return ["--features", FEATURES[package]] if FEATURES[package] else []


def targets(tests: str) -> list[str]:
    if tests == "all":
        return ["--lib", "--tests"]
    return ["--lib" if name == "lib" else f"--test={name}" for name in tests.split()]


def place(mutant: dict) -> dict:
    """What survivors.toml calls a mutant: not by its line's number, which moves."""
    lines = (ROOT / mutant["file"]).read_text().splitlines()
    text = mutant["name"].split(": ", 1)[1]
    return {"file": mutant["file"], "mutant": text, "at": lines[mutant["span"]["start"]["line"] - 1].strip()}


def escaped(text: str) -> str:
    """For a regular expression of Rust, where an escaped `<` is the beginning of a word."""
    return re.sub(r"([^\w\s<>:/])", r"\\\1", text)


class Run:
    def __init__(self, args: argparse.Namespace) -> None:
        self.tool = args.tool
        self.jobs = args.jobs
        self.ends = time.monotonic() + args.minutes * 60 if args.minutes else None
        self.lock = threading.Lock()
        self.stop = False
        HOME.mkdir(parents=True, exist_ok=True)
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() and not args.fresh else {}
        chosen = [(package, name) for package, files in FILES.items() for name in files]
        if args.file:
            chosen = [(package, name) for package, name in chosen if any(text in f"{package}/src/{name}" for text in args.file)]
        self.tonight = time.localtime().tm_yday if args.tonight else None
        self.known = {f"crates/{package}/src/{name}" for package, files in FILES.items() for name in files}
        first = {f"crates/{package}/src/{name}": FILES[package][name] for package, name in chosen}
        self.mutants = {
            mutant["name"]: dict(mutant, place=place(mutant), first=first[mutant["file"]], of=digest([ROOT / mutant["file"]]))
            for mutant in self.listed(first)
        }
        for file in first:
            if not any(mutant["file"] == file for mutant in self.mutants.values()):
                sys.exit(f"there is nothing to change in {file}, which FILES of {Path(__file__).name} names")
        self.results = kept
        # Now, since the files may change while this runs; the copies do not.
        self.digests = {package: {asked: tests_digest(package, asked) for asked in {"all", *files.values()}} for package, files in FILES.items()}
        self.timeouts = {}

    def listed(self, files: dict) -> list[dict]:
        command = [self.tool, "mutants", "--list", "--json", "--no-config", *(f"--file={file}" for file in files)]
        return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)

    def result(self, name: str) -> dict | None:
        """What is known of a mutant, if it still stands."""
        found, mutant = self.results.get(name), self.mutants[name]
        if not found or found["of"] != mutant["of"]:
            return None
        # What does not compile needs no test.
        stands = found["outcome"] == "unviable" or found["tests"] == self.digests[mutant["package"]].get(found["asked"])
        return found if stands else None

    def note(self, name: str, outcome: str, asked: str, seconds: float) -> None:
        mutant = self.mutants[name]
        with self.lock:
            self.results[name] = {
                "outcome": outcome,
                "asked": asked,
                "of": mutant["of"],
                "tests": self.digests[mutant["package"]][asked],
                "seconds": round(seconds, 1),
            }
            RESULTS.with_suffix(".new").write_text(json.dumps(self.results, indent=1))
            RESULTS.with_suffix(".new").replace(RESULTS)

    def baseline(self, package: str) -> None:
        """The tests pass where nothing is changed, and take so long."""
        command = ["cargo", "test", "--locked", "--quiet", "--package", package, *features(package), *targets("all")]
        build, tree = HOME / "build-0", HOME / "tree-0"
        began = time.monotonic()
        subprocess.run([*command, "--no-run"], cwd=tree, env=environment(build), check=True, stdout=subprocess.DEVNULL)
        built = time.monotonic()
        run = subprocess.run(command, cwd=tree, env=environment(build), capture_output=True, text=True)
        took = time.monotonic() - built
        if run.returncode != 0:
            sys.exit(f"{run.stdout[-4000:]}{run.stderr[-4000:]}\nthe tests of {package} fail though nothing is changed")
        # Those that are asked first take a small part of all: where they take as long, they do not end.
        self.timeouts[package] = {"first": max(30, round(took)), "all": max(60, round(2 * took))}
        print(f"{package}: built in {built - began:.0f} s, all tests in {took:.0f} s", flush=True)

    def test(self, worker: int, names: list[str], tests: str) -> list[str]:
        """Runs these mutants, which are of one package, against these tests; returns what was missed."""
        tree, build, out = (HOME / f"{part}-{worker}" for part in ("tree", "build", "out"))
        package = self.mutants[names[0]]["package"]
        shutil.rmtree(out, ignore_errors=True)
        exactly = [f"--re=^{escaped(name)}$" for name in names]
        command = [self.tool, "mutants", "--in-place", "--no-config", "--baseline=skip", "--colors=never", "--build-timeout=900"]
        command += [f"--timeout={self.timeouts[package]['all' if tests == 'all' else 'first']}", "--package", package, "--output", str(out), "--cargo-arg=--locked", *features(package)]
        # Not behind `--`, which the build before the tests would not be told.
        command += [f"--file={self.mutants[names[0]]['file']}", *exactly, *(f"--cargo-arg={target}" for target in targets(tests))]
        out.mkdir(parents=True)
        said = subprocess.Popen(command, cwd=tree, env=environment(build), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            words, _ = said.communicate()
        except BaseException:
            said.wait()
            raise
        finally:
            missed, decided = self.read(out / "mutants.out", tests)
        # cargo-mutants 27.1.0 tries a field that is left out of a struct whatever `--re` says.
        left = set(names) - set(decided)
        if said.returncode not in (0, 2, 3) or left:
            if self.stop:
                raise Stopped
            raise RuntimeError(f"cargo-mutants ended with {said.returncode}, {len(left)} of {len(names)} not decided\n{words[-4000:]}")
        return [name for name in missed if name in names]

    def read(self, out: Path, tests: str) -> tuple[list[str], list[str]]:
        missed, decided = [], []
        outcomes = json.loads((out / "outcomes.json").read_text())["outcomes"] if (out / "outcomes.json").exists() else []
        for outcome in outcomes:
            name = outcome["scenario"]["Mutant"]["name"]
            seconds = sum(phase["duration"] for phase in outcome["phase_results"])
            decided.append(name)
            kind = {"CaughtMutant": "caught", "MissedMutant": "missed", "Timeout": "timeout", "Unviable": "unviable"}[outcome["summary"]]
            if kind == "missed":
                missed.append(name)
            # What the first tests let by is decided by the others.
            if kind != "missed" or tests == "all":
                self.note(name, kind, tests, seconds)
                print(f"{kind:8} {seconds:5.1f} s  {name}", flush=True)
        return missed, decided

    def work(self, worker: int, batches: list[list[str]], failures: list) -> None:
        try:
            while not self.stop:
                with self.lock:
                    if not batches or (self.ends and time.monotonic() > self.ends):
                        return
                    batch = batches.pop(0)
                missed = self.test(worker, batch, self.mutants[batch[0]]["first"])
                if missed:
                    self.test(worker, missed, "all")
        except Stopped:
            pass
        except BaseException as failure:
            self.stop = True
            failures.append(failure)

    def go(self) -> None:
        undecided = [name for name in self.mutants if not self.result(name)]
        if self.tonight is not None:
            undecided = [name for at, name in enumerate(self.mutants) if at % NIGHTS == self.tonight % NIGHTS and name in set(undecided)]
        print(f"{len(self.mutants)} mutants, {len(undecided)} to try", flush=True)
        if not undecided:
            return
        refresh_copy(HOME / "tree-0")
        for package in dict.fromkeys(self.mutants[name]["package"] for name in undecided):
            self.baseline(package)
        for worker in range(1, self.jobs):
            refresh_copy(HOME / f"tree-{worker}")
            if not (HOME / f"build-{worker}").exists():
                # Dependencies are the same wherever the tree lies.
                subprocess.run(["cp", "-a", HOME / "build-0", HOME / f"build-{worker}"], check=True)
        batches, of = [], None
        for name in undecided:
            if self.mutants[name]["file"] != of or len(batches[-1]) == BATCH:
                of = self.mutants[name]["file"]
                batches.append([])
            batches[-1].append(name)
        failures: list = []
        workers = [threading.Thread(target=self.work, args=(number, batches, failures)) for number in range(self.jobs)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt:
            self.stop = True
            for worker in workers:
                worker.join()
        for failure in failures:
            raise failure

    def tell(self) -> int:
        """The figures, and what is wrong: 0 if nothing is."""
        explained = tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
        named = [{key: entry[key] for key in ("file", "mutant", "at")} for entry in explained]
        per_file: dict = {}
        wrong, survivors, used = [], [], []
        for name, mutant in self.mutants.items():
            result = self.result(name)
            outcome = result["outcome"] if result else "undecided"
            count = per_file.setdefault(mutant["file"], {})
            count[outcome] = count.get(outcome, 0) + 1
            if outcome in ("missed", "undecided") and mutant["place"] in named:
                used.append(mutant["place"])
            if outcome == "missed":
                survivors.append(name)
                if mutant["place"] not in named:
                    at = mutant["place"]
                    wrong.append(f'no test notices, and survivors.toml does not explain: {name}\n    at = {at["at"]!r}')
        files = {mutant["file"] for mutant in self.mutants.values()}
        for entry, at in zip(explained, named):
            if not entry.get("why"):
                wrong.append(f"survivors.toml gives no reason for {at['file']}: {at['mutant']}")
            if (at["file"] in files or at["file"] not in self.known) and at not in used:
                wrong.append(f"survivors.toml explains what is caught, or not there any more: {at['file']}: {at['mutant']}, at {at['at']!r}")
        total: dict = {}
        for file, count in per_file.items():
            print(f"{figures(count)[0]}: {file.removeprefix('crates/')}")
            for outcome, number in count.items():
                total[outcome] = total.get(outcome, 0) + number
        seconds = sum(self.results[name]["seconds"] for name in self.mutants if self.result(name))
        print(f"{seconds / 60:.0f} minutes of building and testing for what is decided, {total.get('timeout', 0)} of the caught ran without an end")
        for line in wrong:
            print(line)
        words, share = figures(total)
        if not total.get("undecided") and share < GOAL:
            wrong.append(f"fewer than {GOAL:.0f} % are caught")
            print(wrong[-1])
        print(f"{words}, {'all explained' if not wrong else 'NOT all explained'}")
        return 1 if wrong else 0


def figures(count: dict) -> tuple[str, float]:
    of = {outcome: count.get(outcome, 0) for outcome in ("caught", "timeout", "missed", "unviable", "undecided")}
    caught = of["caught"] + of["timeout"]
    viable = caught + of["missed"]
    share = 100 * caught / viable if viable else 100.0
    undecided = f", {of['undecided']} not tried yet" if of["undecided"] else ""
    return f"{sum(of.values())} mutants{undecided}, {viable} viable, {caught} caught ({share:.1f} %), {of['missed']} survivors", share


def main() -> int:
    parser = argparse.ArgumentParser(prog="just mutants-code", description=__doc__)
    parser.add_argument("--tool", default=str(ROOT / "target/cargo-mutants/bin/cargo-mutants"), help=argparse.SUPPRESS)
    parser.add_argument("--file", action="append", help="only files with this text in crates/…, e.g. core/src/cache; may be repeated")
    parser.add_argument("--minutes", type=float, help="begin nothing after so many; the next run goes on")
    parser.add_argument("--tonight", action="store_true", help=f"one mutant of {NIGHTS}, each night others")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants at a time (2)")
    parser.add_argument("--fresh", action="store_true", help="take no result of an earlier run")
    parser.add_argument("--figures", action="store_true", help="try nothing, tell what is known")
    args = parser.parse_args()
    run = Run(args)
    if not args.figures:
        run.go()
    return run.tell()


if __name__ == "__main__":
    sys.exit(main())
