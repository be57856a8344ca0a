#!/usr/bin/env python3
"""The npm packages of the mock and of the command: makes them for this platform, measures them, and tests them as their users have them. `just npm`; `--quick` tests them with CI's own build of the mock; `--wheels FOLDER` makes those of each platform whose wheel is there."""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "python")]
import wheel  # noqa: E402
from checks import Wrong, run, say, verdict, workspace_version  # noqa: E402
from wheel import without_cargo  # noqa: E402
from install import EXE, HERE as SDKS, TARGET, WORKSPACE, Missing, coze_api, install  # noqa: E402

MOCK, CLI = "coze-auth-mock", "coze-auth-cli"
EXAMPLE, TESTS = HERE / MOCK / "example", HERE / MOCK / "tests"
BUILT = TARGET / "npm"
TOOLS = BUILT / "tools"  # pack.mjs installs them
PAGES = (WORKSPACE / "docs" / "mock-javascript.md", HERE / MOCK / "README.md")
MB = 1_000_000
PACKED_AT_MOST, UNPACKED_AT_MOST = 5 * MB, 12 * MB  # of the mock
FASTER_THAN_PEER, WORLD_MS = 30, 2.0
SAMPLES = 22
OTHER_NODES = ("22", "24", "26")  # as npm has them
NEWER_VITEST = "5"  # which Node 20 does not run
# The platforms of wheels, as npm names them.
WHEELS = {
    r"manylinux.*_x86_64": "linux-x64",
    r"manylinux.*_aarch64": "linux-arm64",
    r"macosx.*_x86_64": "darwin-x64",
    r"macosx.*_arm64": "darwin-arm64",
    r"win_amd64": "win32-x64",
}
QUIET = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent")


def tool(name):
    found = shutil.which(name)
    if not found:
        raise Missing("node (20.19 or newer) and npm are needed")
    return found


def npm(folder, *words, prefix=()):
    return run([*prefix, tool("npm"), *words], cwd=folder, env=without_cargo())


# --- packing -----------------------------------------------------------------------------------------


def pack(name, binary, of=None, out=None):
    """The archives of the package and of its binary."""
    options = ["--binary", binary, *(["--platform", of] if of else []), *(["--out", out] if out else [])]
    return [Path(line) for line in run([tool("node"), HERE / "pack.mjs", name, *options]).splitlines()[-2:]]


def of_wheel(archive):
    """The platform of a wheel, and its binary in a file."""
    known = [of for tag, of in WHEELS.items() if re.search(f"-none-{tag}\\.whl$", archive.name)]
    if not known:
        raise Wrong(f"{archive.name} is of no platform that npm has a package for")
    folder = BUILT / "binaries" / archive.stem
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as wheel_file:
        (inside,) = [name for name in wheel_file.namelist() if "/scripts/" in name]
        return known[0], wheel_file.extract(inside, folder)


def of_ci():
    """The archives with the debug binary, which CI has built anyway."""
    run(["cargo", "build", "--quiet", "--locked", "--package", MOCK], cwd=WORKSPACE)
    binary = BUILT / f"{MOCK}{EXE}"
    BUILT.mkdir(parents=True, exist_ok=True)
    shutil.copy(TARGET / "debug" / binary.name, binary)
    if shutil.which("strip"):  # half of it, and so of the time to pack it
        subprocess.run(["strip", "-s", binary], check=False)
    return pack(MOCK, binary, out=BUILT / "quick")


def measured(archives, held):
    """The lists of the archives, and their sizes."""
    packed, unpacked = sum(archive.stat().st_size for archive in archives), 0
    for archive in archives:
        with tarfile.open(archive) as file:
            for member in file.getmembers():
                say(f"  {member.size:>10,}  {archive.name}: {member.name.removeprefix('package/')}")
                unpacked += member.size
            names = {member.name for member in file.getmembers()}
            texts = [file.extractfile(name).read().decode() for name in names if name.endswith((".json", ".js", ".ts", ".md"))]
        for licence in ("package/LICENSE-APACHE", "package/LICENSE-MIT", "package/README.md"):
            if licence not in names:
                raise Wrong(f"{archive.name} has no {licence}")
        if any(str(WORKSPACE) in text for text in texts):
            raise Wrong(f"{archive.name} names a folder of this machine")
    bound = f", at most {PACKED_AT_MOST / MB:.0f} and {UNPACKED_AT_MOST / MB:.0f}" if held else ""
    say(f"{archives[0].name} with its binary: {packed / MB:.1f} MB, installed {unpacked / MB:.1f} MB{bound}")
    if held and (packed > PACKED_AT_MOST or unpacked > UNPACKED_AT_MOST):
        raise Wrong(f"{archives[0].name} is larger than it may be")


# --- testing -----------------------------------------------------------------------------------------


def sdk():
    """The versions of @coze/api and what it needs, which stand in one place."""
    pinned = json.loads((SDKS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return [f"{name}@{version}" for name, version in pinned.items()]


def vitest(folder, *words, node=None, prefix=()):
    """Runs vitest as a user does; gives how many tests of each file passed, and the seconds."""
    found = [parent / "node_modules" / "vitest" / "vitest.mjs" for parent in (folder, *folder.parents)]
    program = next(path for path in found if path.exists())
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    began = time.monotonic()
    command = [*prefix, node or tool("node"), program, "run", "--root", folder, "--reporter=default", "--reporter=json", f"--outputFile.json={report}"]
    # A machine that does more than this takes longer.
    command += ["--testTimeout=60000", "--hookTimeout=60000", *words]
    said = run(command, cwd=folder, env={**without_cargo(), "NO_COLOR": "1"})
    seconds = time.monotonic() - began
    passed = {}
    for file in json.loads(report.read_text(encoding="utf-8"))["testResults"]:
        states = [test["status"] for test in file["assertionResults"]]
        if not states or set(states) != {"passed"}:
            raise Wrong(f"no test of {file['name']} passed, or one was skipped:\n{said[-3000:]}")
        passed[Path(file["name"]).relative_to(folder).as_posix()] = len(states)
    return passed, seconds


def below(passed, folder):
    return sum(number for name, number in passed.items() if name.startswith(folder))


def types(folder):
    """The compiler's word on the samples and the tests, with the types that a user has."""
    compiler = TOOLS / "node_modules" / "typescript" / "bin" / "tsc"
    run([tool("node"), compiler, "-p", folder], cwd=folder, env=without_cargo())
    say(f"tsc: {len(list(folder.glob('**/*.ts')))} files and more, no errors")


def blocks(folder):
    """Writes the JavaScript blocks of the pages, as they stand there: a file of tests, or what the first line names. Gives the programs of node, which
    vitest does not run."""
    programs = []
    for page in PAGES:
        where = folder / "blocks" / page.parent.name
        where.mkdir(parents=True)
        for number, text in enumerate(re.findall(r"^```(?:js|ts)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)):
            named = re.match(r"// ([\w.-]+\.(?:mjs|ts))\n", text)
            file = where / (named[1] if named else f"page-{number}.test.mjs")
            if "node:test" in text:
                file = where / f"node-{number}.mjs"
            elif not named and "test(" not in text:
                raise Wrong(f"a block of {page} is neither a test nor a file with its name in its first line:\n{text}")
            file.write_text(text, encoding="utf-8")
            if not file.name.endswith(".test.mjs"):
                programs.append(file)
    return programs


def programs(folder, files, node=None):
    for file in files:
        options = ["--test"] if file.name.startswith("node-") else []
        run([node or tool("node"), *options, file], cwd=folder, env=without_cargo())
    return len(files)


def linked(folder):
    """@coze/api as it is installed for all recipes."""
    modules = coze_api() / "node_modules"
    for name in ("@coze/api", "axios"):
        link = folder / "node_modules" / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(modules / name, target_is_directory=True)


def same(folder, command, version):
    """A command of the packages tells the version of the workspace."""
    said = npm(folder, "exec", "--", command, "--version").split()
    if said[-1] != version:
        raise Wrong(f"{command} is {said}, and the workspace {version}")


def tested(folder, archives, version, node=None):
    """The module's tests, the sample project and the blocks of the pages, over these archives. vitest is one of a folder above."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
    npm(folder, "install", *QUIET, *archives)
    linked(folder)
    shutil.copytree(EXAMPLE, folder / "example")
    shutil.copytree(TESTS, folder / "tests")
    shutil.copy(EXAMPLE / "tsconfig.json", folder)
    rest = blocks(folder)
    same(folder, MOCK, version)
    passed, seconds = vitest(folder, node=node)
    if below(passed, "example/") != SAMPLES:
        raise Wrong(f"the sample project has {below(passed, 'example/')} tests and not {SAMPLES}")
    ran = below(passed, "blocks/") + programs(folder, rest, node)
    return f"{below(passed, 'tests/')} tests of the module and the fixtures, {SAMPLES} of the sample project, {ran} blocks of the pages: passed, {seconds:.1f} s"


# --- the two forms -----------------------------------------------------------------------------------


def quick(version):
    archives = of_ci()
    folder = TOOLS / "quick"
    say(tested(folder, archives, version))
    types(folder)


def whole(version):
    quick(version)
    archives = {}
    for name, package, held in ((MOCK, wheel.MOCK, True), (CLI, wheel.CLI, False)):
        began = time.monotonic()
        of, binary = of_wheel(wheel.released(package))
        archives[name] = pack(name, binary, of)
        say(f"built {', '.join(archive.name for archive in archives[name])} in {time.monotonic() - began:.0f} s")
        measured(archives[name], held)
    for version_of_node, node in nodes().items():
        folder = TOOLS if version_of_node == "20" else newer(version_of_node)
        said = tested(folder / "whole", archives[MOCK], version, node)
        say(f"Node {version_of_node}, vitest {vitest_of(folder)}: {said}")
    clean(archives, version)
    speed(archives[MOCK])
    say(
        "other platforms: a package with a binary is made from the wheel of its platform. With all wheels of a release in one folder:\n"
        "  python3 packages/npm/npm.py --wheels FOLDER\n"
        "RELEASING.md has the list."
    )


def nodes():
    """The interpreters by version: that of this machine, and those that npm has."""
    told = run([tool("node"), "--version"]).strip().lstrip("v").split(".")[0]
    found = {told: tool("node")}
    of = f"{sys.platform.replace('win32', 'win')}-{'arm64' if platform.machine() in ('arm64', 'aarch64') else 'x64'}"
    for version in OTHER_NODES:
        folder = BUILT / "nodes" / version
        install(folder, [], [tool("npm"), "install", *QUIET, f"node-{of}@{version}"], tools=of)
        found.setdefault(version, folder / "node_modules" / f"node-{of}" / "bin" / f"node{EXE}")
    return found


def newer(node):
    """A folder with the newer vitest."""
    folder = BUILT / f"vitest-{NEWER_VITEST}"
    install(folder, [], [tool("npm"), "install", *QUIET, f"vitest@{NEWER_VITEST}", "vite@8", "@types/node@22"])
    return folder


def vitest_of(folder):
    return json.loads((folder / "node_modules" / "vitest" / "package.json").read_text(encoding="utf-8"))["version"]


def clean(archives, version):
    """The sample project in a new folder, first with a registry, then in another one without any network. Its path has a space."""
    pinned = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    needed = [*archives[MOCK], *archives[CLI], *sdk(), *(f"{name}@{of}" for name, of in pinned.items())]
    for prefix in ([], wheel.no_network()):
        with tempfile.TemporaryDirectory(prefix="coze auth ") as name:
            folder = Path(name).resolve()
            began = time.monotonic()
            for file in EXAMPLE.iterdir():
                shutil.copy(file, folder)
            npm(folder, "install", *QUIET, *(["--offline"] if prefix else []), *needed, prefix=prefix)
            same(folder, MOCK, version)
            same(folder, "coze-auth", version)
            passed, seconds = vitest(folder, prefix=prefix)
            run([tool("node"), folder / "node_modules" / "typescript" / "bin" / "tsc"], cwd=folder, env=without_cargo())
            if sum(passed.values()) != SAMPLES:
                raise Wrong(f"the sample project has {passed} tests and not {SAMPLES}")
            where = "without a network" if prefix else "with a registry"
            say(f"sample project in a clean folder, {where}: {SAMPLES} passed, {seconds:.1f} s; with its installation {time.monotonic() - began:.1f} s")


def speed(archives):
    """Beside npm's oauth2-mock-server as a process of its own, and a test with a world beside one without."""
    peer = TARGET / "peer"
    peer.mkdir(parents=True, exist_ok=True)
    shutil.copy(wheel.PEER / "package.json", peer)
    npm(peer, "install", "--silent", "--no-audit", "--no-fund")
    folder = TOOLS / "speed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
    npm(folder, "install", *QUIET, *archives)
    shutil.copy(HERE / "start.mjs", folder)
    said = run([tool("node"), folder / "start.mjs", wheel.PEER / "serve.mjs"], cwd=folder, env={**without_cargo(), "PEER_MODULES": str(peer)})
    ours, theirs = json.loads(said.strip().splitlines()[-1])
    say(f"start() to the first answer: {ours:.1f} ms; oauth2-mock-server {theirs:.0f} ms, {theirs / ours:.0f} times that; at least {FASTER_THAN_PEER}")
    if theirs / ours < FASTER_THAN_PEER:
        raise Wrong("the mock starts too slowly")
    text = "import { test } from 'coze-auth-mock/vitest';\ntest.for(Array.from({ length: 1000 }, (_, n) => n))('it %i', async (n, { FIXTURE }) => {});\n"
    seconds = {"cozeWorld": [], "task": []}
    for fixture in seconds:
        (folder / f"{fixture}.test.mjs").write_text(text.replace("FIXTURE", fixture), encoding="utf-8")
    for _ in range(5):
        for fixture, all_runs in seconds.items():
            all_runs.append(vitest(folder, f"{fixture}.test.mjs")[1])
    costs = (min(seconds["cozeWorld"]) - min(seconds["task"])) * 1000 / 1000
    say(f"a world of its own adds {costs:.2f} ms to a test (1,000 tests, start of the mock included), at most {WORLD_MS}")
    if costs > WORLD_MS:
        raise Wrong("a world costs too much")


def of_wheels(folder):
    found = sorted(folder.glob("**/*.whl"))
    if not found:
        raise Wrong(f"{folder} has no wheel")
    for archive in found:
        name = MOCK if archive.name.startswith("coze_auth_mock-") else CLI
        for made in pack(name, *reversed(of_wheel(archive))):
            say(made)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the tests, with a debug binary")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="only makes the packages of the wheels in a folder")
    given = parser.parse_args()
    if given.wheels:
        return verdict(lambda: of_wheels(given.wheels))
    form = quick if given.quick else whole
    return verdict(lambda: form(workspace_version()))


if __name__ == "__main__":
    sys.exit(main())
