#!/usr/bin/env python3
"""The wheels of the mock and of the command: builds them for this platform, measures them, and tests them as their users have them. `just wheel`; `--quick` tests a wheel of CI's own build of the mock."""

import argparse
import ast
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from checks import Wrong, run, say, verdict, workspace_version  # noqa: E402
from install import TARGET, WORKSPACE, Trouble, install, without_proxy  # noqa: E402

MOCK, CLI = HERE / "coze-auth-mock", HERE / "coze-auth-cli"
BUILT = TARGET / "wheel"
SDKS = HERE.parents[1] / "conformance" / "released-sdks" / "requirements.txt"  # the one place that pins cozepy
PEER = WORKSPACE / "mock-server" / "benches" / "mock" / "peer"
PAGE = WORKSPACE / "docs" / "mock-python.md"
OLDEST_GLIBC = "2.17"
MIB = 1_000_000
WHEEL_AT_MOST, INSTALLED_AT_MOST = 5 * MIB, 12 * MIB  # of the mock
FASTER_THAN_PEER, WORLD_MS = 30, 2.0
SAMPLES = 22
OTHER_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def scripts(venv):
    return venv / ("Scripts" if os.name == "nt" else "bin")


def python_of(venv):
    return scripts(venv) / ("python.exe" if os.name == "nt" else "python")


def without_cargo():
    """The environment of a user: no cargo, no checkout, nothing of Coze's."""
    ours = ("COZE", "PYTHON", "RUST", "CARGO", "NODE_", "npm_")
    kept = {name: value for name, value in without_proxy().items() if not name.startswith(ours)}
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("cargo", path=folder))
    if shutil.which("cargo", path=path):
        raise Wrong("cargo is on the path")
    return {**kept, "PATH": path}


def users(venv):
    """The same with this venv."""
    kept = without_cargo()
    return {**kept, "PATH": f"{scripts(venv)}{os.pathsep}{kept['PATH']}", "VIRTUAL_ENV": str(venv)}


def tools(*release):
    """The folder of the commands that check, or with `"release"` of those that build what is published, too; installed once."""
    inputs = [HERE / "-".join(("requirements", *release)), *([HERE / "requirements"] if release else [])]
    inputs = [path.with_suffix(".txt") for path in inputs]
    folder = BUILT / "-".join(("tools", *release))
    if sys.version_info < (3, 10):
        raise Trouble("the tools that build and check wheels need Python 3.10 or newer")
    pip = [python_of(folder), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", inputs[0].name]
    install(folder, inputs, [sys.executable, "-m", "venv", str(folder)], pip)
    return scripts(folder)


# --- building ----------------------------------------------------------------------------------------


def maturin(package, folder, where, *options, **more):
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, "PATH": f"{where}{os.pathsep}{os.environ['PATH']}", **more}
    run([where / "maturin", "build", "--quiet", "--out", folder, *options], cwd=package, env=environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def of_ci(package):
    """A wheel of the debug binary, which CI has built anyway."""
    options = ["--profile", "dev", "--compatibility", "linux" if sys.platform == "linux" else "pypi"]
    return maturin(package, BUILT / "quick", tools(), *options)


def released(package):
    """The wheel as it is published for this platform: on Linux one for every system since glibc 2.17, linked by zig."""
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    # A panic names its file, which would be a folder of this machine.
    names = {"RUSTFLAGS": f"--remap-path-prefix={cargo}=cargo --remap-path-prefix={WORKSPACE}=coze-auth"}
    options = ["--release"]
    if sys.platform == "linux":
        target = f"{platform.machine()}-unknown-linux-gnu"
        options += ["--zig", "--target", target, "--compatibility", f"manylinux_{OLDEST_GLIBC.replace('.', '_')}"]
    return maturin(package, BUILT / "dist" / package.name, tools("release"), *options, **names)


def measured(wheel, held):
    """The archive's list, its sizes, and auditwheel's word."""
    with zipfile.ZipFile(wheel) as archive:
        files = archive.infolist()
        for file in files:
            say(f"  {file.file_size:>10,}  {file.filename}")
        names = {file.filename.split("/", 1)[-1] for file in files}
        texts = [archive.read(file).decode() for file in files if file.filename.endswith(("METADATA", "WHEEL", "RECORD"))]
    for licence in ("licenses/LICENSE-APACHE", "licenses/LICENSE-MIT"):
        if licence not in names:
            raise Wrong(f"{wheel.name} has no {licence}")
    if any(str(WORKSPACE) in text for text in texts):
        raise Wrong(f"{wheel.name} names a folder of this machine")
    size, installed = wheel.stat().st_size, sum(file.file_size for file in files)
    bound = f", at most {WHEEL_AT_MOST / MIB:.0f} and {INSTALLED_AT_MOST / MIB:.0f}" if held else ""
    say(f"{wheel.name}: {size / MIB:.1f} MB, installed {installed / MIB:.1f} MB{bound}")
    if held and (size > WHEEL_AT_MOST or installed > INSTALLED_AT_MOST):
        raise Wrong(f"{wheel.name} is larger than it may be")
    if sys.platform == "linux":
        said = " ".join(run([tools("release") / "auditwheel", "show", wheel]).split())
        say(f"auditwheel: {said}")
        found = re.search(r"consistent with the following platform tag: \"manylinux_(\d+)_(\d+)_", said)
        oldest = tuple(map(int, OLDEST_GLIBC.split(".")))
        if not found or tuple(map(int, found.groups())) > oldest:
            raise Wrong(f"{wheel.name} needs a newer glibc than {OLDEST_GLIBC}")


# --- testing -----------------------------------------------------------------------------------------


def pythons():
    """The interpreters of this machine, by version; this one first. pyenv's are found where it puts them."""
    found = {"%d.%d" % sys.version_info[:2]: sys.executable}
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in OTHER_PYTHONS:
        known = [*sorted(root.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
        for program in filter(None, known):
            told = subprocess.run([program, "-c", "import sys, venv, ssl; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True)
            if told.stdout.strip() == version:
                found.setdefault(version, str(program))
    missing = [version for version in OTHER_PYTHONS if version not in found]
    if missing:
        say(f"skipped: this machine has no Python {', '.join(missing)}")
    return found


def venv_of(name, program, requirements):
    """A venv with what tests need, filled once, without a wheel of ours."""
    folder = BUILT / "venvs" / name
    pip = [python_of(folder), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    steps = [[program, "-m", "venv", str(folder)], [*pip, "-c", SDKS, *requirements]]
    inputs = [path for path in (SDKS, MOCK / "tests" / "requirements.txt") if path.exists()]
    install(folder, inputs, *steps, tools=f"{program} {requirements}")
    return folder


def put(venv, wheel):
    run([python_of(venv), "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index", "--force-reinstall", wheel])


def pytest(venv, *arguments, prefix=(), cwd=None):
    """Runs pytest as a user does; gives how many passed, and the seconds."""
    began = time.monotonic()
    options = ["-q", "-p", "no:cacheprovider"]
    said = run([*prefix, python_of(venv), "-B", "-m", "pytest", *options, *arguments], env=users(venv), cwd=cwd or BUILT)
    passed = re.search(r"(\d+) passed", said)
    if not passed or "skipped" in said and os.environ.get("CI"):
        raise Wrong(f"no test passed, or one was skipped:\n{said[-2000:]}")
    return int(passed[1]), time.monotonic() - began


def module_tests(venv):
    """The tests, and the examples of the documentation; gives how many passed, and the seconds."""
    passed, seconds = pytest(venv, MOCK / "tests", "--rootdir", MOCK / "tests", "-W", "error")
    examples, more = pytest(venv, "--doctest-modules", "--pyargs", "coze_auth_mock")
    return passed + examples, seconds + more


def blocks(venv):
    """The Python blocks of a page or a README, as they stand there: a file of tests, or what the first line names, which is a program or a
    conftest.py. Gives how many passed."""
    passed = 0
    for page in (PAGE, MOCK / "README.md"):
        folder = BUILT / "blocks" / page.stem
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, text in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)):
            named = re.match(r"# ([\w-]+\.py)\n", text)
            file = folder / (named[1] if named else f"test_{number}.py")
            file.write_text(text, encoding="utf-8")
            if named and file.name != "conftest.py":
                run([python_of(venv), file], env=users(venv), cwd=folder)
                passed += 1
            elif not named and "def test_" not in text:
                raise Wrong(f"a block of {page} is neither a test nor a file with its name in its first line:\n{text}")
        passed += pytest(venv, folder)[0]
    return passed


def sample(venv, prefix=()):
    passed, seconds = pytest(venv, MOCK / "example", prefix=prefix)
    if passed != SAMPLES:
        raise Wrong(f"the sample project has {passed} tests and not {SAMPLES}")
    return seconds


def typed(venv):
    """mypy and pyright over the module, and pyright's word on the types that a user of the wheel sees."""
    for command in (
        [tools() / "mypy", "--python-version", "3.10", "--python-executable", python_of(venv)],
        [tools() / "pyright", "--pythonpath", python_of(venv)],
        [tools() / "pyright", "--verifytypes", "coze_auth_mock", "--ignoreexternal"],
    ):
        folder, environment = (BUILT, users(venv)) if "--verifytypes" in command else (MOCK, os.environ)
        said = [line for line in run(command, cwd=folder, env=environment).splitlines() if re.search("found|errors|score", line)]
        say(f"{Path(command[0]).name}: {said[-1]}")


def no_network():
    """What runs a command without any network but loopback, or nothing where that needs more rights."""
    up = "import fcntl, os, socket, struct, sys; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41)); os.execvp(sys.argv[1], sys.argv[1:])"
    prefix = ["unshare", "--net", sys.executable, "-c", up]
    if sys.platform == "linux" and shutil.which("unshare"):
        if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return prefix
    say("skipped: a run without a network needs root on Linux; this one has pip without an index alone")
    return []


def same(venv, command, version):
    """A command of the wheel tells the version of the workspace."""
    said = run([scripts(venv) / command, "--version"], env=users(venv)).split()
    if said[-1] != version:
        raise Wrong(f"{command} is {said}, and the workspace {version}")


def names_of(wheel, version):
    if f"-{version}-py3-none-" not in wheel.name:
        raise Wrong(f"{wheel.name} is not of the version {version}")


# --- the two forms -----------------------------------------------------------------------------------


def quick(version):
    wheel = of_ci(MOCK)
    names_of(wheel, version)
    venv = venv_of("quick", sys.executable, ["-r", str(MOCK / "tests" / "requirements.txt"), "cozepy"])
    put(venv, wheel)
    same(venv, "coze-auth-mock", version)
    passed, seconds = module_tests(venv)
    say(f"tests of the module and the plugin: {passed} passed, {seconds:.1f} s")
    say(f"sample project: {SAMPLES} passed, {sample(venv):.1f} s")
    say(f"blocks of {PAGE.name} and of the README: {blocks(venv)} passed")
    typed(venv)


def whole(version):
    quick(version)
    wheels = {}
    for package, held in ((MOCK, True), (CLI, False)):
        began = time.monotonic()
        wheels[package] = wheel = released(package)
        say(f"built {wheel.name} in {time.monotonic() - began:.0f} s")
        names_of(wheel, version)
        measured(wheel, held)
    for known, program in pythons().items():
        venv = venv_of(f"python{known}", program, ["-r", str(MOCK / "tests" / "requirements.txt"), "cozepy"])
        put(venv, wheels[MOCK])
        put(venv, wheels[CLI])
        same(venv, "coze-auth-mock", version)
        same(venv, "coze-auth", version)
        passed, seconds = module_tests(venv)
        say(f"Python {known}: {passed} passed, {seconds:.1f} s; sample project: {SAMPLES} passed, {sample(venv):.1f} s")
    clean(wheels[MOCK])
    speed(BUILT / "venvs" / ("python%d.%d" % sys.version_info[:2]))
    say(
        "other platforms: the same recipe on a machine of each, since a wheel has that platform's binary. On Linux zig builds for another architecture, too:\n"
        "  rustup target add aarch64-unknown-linux-gnu\n"
        f"  maturin build --release --zig --target aarch64-unknown-linux-gnu --compatibility manylinux_{OLDEST_GLIBC.replace('.', '_')}\n"
        "RELEASING.md has the list."
    )


def clean(wheel):
    """The sample project in a new venv, first with a package index, then again in another one without any network."""
    house = BUILT / "house"
    house.mkdir(exist_ok=True)
    needed = ["-c", str(SDKS), "-c", str(MOCK / "tests" / "requirements.txt"), "-r", str(MOCK / "example" / "requirements.txt")]
    for number, prefix in enumerate([[], no_network()]):
        began = time.monotonic()
        folder = BUILT / "clean"
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        pip = [python_of(folder), "-m", "pip", "--disable-pip-version-check"]
        if number == 0:
            run([*pip, "download", "-q", "-d", house, "--find-links", wheel.parent, *needed], env=users(folder))
        else:
            run([*prefix, *pip, "install", "-q", "--no-index", "--find-links", house, *needed], env=users(folder))
        if number == 0:
            run([*pip, "install", "-q", "--find-links", wheel.parent, *needed], env=users(folder))
        tests = sample(folder, prefix)
        where = "without a network" if prefix else "without an index" if number else "with an index"
        say(f"sample project in a clean venv, {where}: {SAMPLES} passed, {tests:.1f} s; with its installation {time.monotonic() - began:.1f} s")


def speed(venv):
    """Beside npm's oauth2-mock-server as a process of its own, and a test with a world beside one without."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        peer = TARGET / "peer"
        peer.mkdir(parents=True, exist_ok=True)
        shutil.copy(PEER / "package.json", peer)
        run([npm, "install", "--prefix", peer, "--silent", "--no-audit", "--no-fund"])
        said = run([python_of(venv), HERE / "start.py", node, PEER / "serve.mjs"], env={**users(venv), "PEER_MODULES": str(peer)})
        ours, theirs = ast.literal_eval(said.strip().splitlines()[-1])
        say(f"start() to the first answer: {ours * 1000:.1f} ms; oauth2-mock-server {theirs * 1000:.0f} ms, {theirs / ours:.0f} times that; at least {FASTER_THAN_PEER}")
        if theirs / ours < FASTER_THAN_PEER:
            raise Wrong("the mock starts too slowly")
    else:
        say("skipped: node and npm are needed for oauth2-mock-server")
    folder = BUILT / "thousand"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = "import pytest\n\n@pytest.mark.parametrize('n', range(1000))\ndef test_it({}n):\n    pass\n"
    (folder / "test_without.py").write_text(text.format(""))
    (folder / "test_with.py").write_text(text.format("coze_world, "))
    seconds = {"test_with.py": [], "test_without.py": []}
    for _ in range(5):
        for name, all_runs in seconds.items():
            all_runs.append(pytest(venv, folder / name)[1])
    costs = (min(seconds["test_with.py"]) - min(seconds["test_without.py"])) * 1000 / 1000
    say(f"a world of its own adds {costs:.2f} ms to a test (1,000 tests, start of the mock included), at most {WORLD_MS}")
    if costs > WORLD_MS:
        raise Wrong("a world costs too much")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the tests, in a wheel of the debug binary")
    given = parser.parse_args()
    BUILT.mkdir(parents=True, exist_ok=True)
    form = quick if given.quick else whole
    return verdict(lambda: form(workspace_version()))


if __name__ == "__main__":
    sys.exit(main())
