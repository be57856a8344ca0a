"""Installs the released SDKs below the target folder, in the versions that the files beside this one pin."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or WORKSPACE / "target").resolve()
SDKS = TARGET / "released-sdks"
EXE = ".exe" if os.name == "nt" else ""


class Trouble(Exception):
    """The run could not be made: there is no verdict."""


class Missing(Trouble):
    """A toolchain is not on this machine: what needs it may be skipped by name, but not where CI is set."""


def without_proxy(**more):
    """The environment. Loopback never goes through a proxy, and both SDKs obey the proxy variables."""
    kept = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}
    return {**kept, **more}


def page_files(page, language):
    """The files of a page in a language: each block that names its file in its first line, byte for byte, by that name."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)
    named = [(re.match(r"(?://|#) ([\w-]+\.\w+)", text), text) for text in blocks]
    return {name[1]: text for name, text in named if name}


def install(folder, inputs, *commands, env=None, tools=""):
    """Runs the commands unless the folder was filled from the same inputs before. Says so on standard error."""
    stamp = folder / "installed-from"
    # Scripts of an environment name its path, so one whose folder was moved is filled anew.
    known = [f"{sys.version}\n{folder}\n{tools}".encode(), *(path.read_bytes() for path in inputs)]
    wanted = hashlib.sha256(b"".join(known)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in inputs:
        shutil.copy(path, folder)
    for command in commands:
        print("installing:", *command, file=sys.stderr, flush=True)
        if subprocess.run(command, cwd=folder, stdout=sys.stderr, env=env).returncode:
            raise Trouble(f"could not install: {' '.join(map(str, command))}")
    stamp.write_text(wanted)


def install_npm(folder, lock):
    """The packages of this package-lock.json; gives the folder, in which `node_modules` is."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        raise Missing("node and npm are needed, for @coze/api and for the browser")
    inputs = [lock.with_name("package.json"), lock]
    install(folder, inputs, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
    return folder


def cozepy():
    """The interpreter of an environment that has cozepy, cozeloop, and what checks shims."""
    folder, requirements = SDKS / "venv", HERE / "requirements.txt"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / f"python{EXE}"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", requirements.name]
    install(folder, [requirements], [sys.executable, "-m", "venv", str(folder)], pip)
    return python


def coze_api():
    """The folder that has @coze/api; `coze_api_sdk.mjs` takes it from the variable RELEASED_SDKS_NPM."""
    return install_npm(SDKS / "npm", HERE / "package-lock.json")


def go():
    """The environment for `go build` in the folder that it gives, which has the SDKs for Go."""
    tool = shutil.which("go")
    if not tool:
        raise Missing("go is needed, for coze-go and cozeloop-go")
    folder = SDKS / "go"
    settings = {
        "GOMODCACHE": str(SDKS / "go-modules"),
        "GOCACHE": str(SDKS / "go-cache"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
        # Without it the C compiler builds parts of the standard library.
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
    }
    inputs = [HERE / "go" / "go.mod", HERE / "go" / "go.sum"]
    install(folder, inputs)
    return tool, folder, without_proxy() | settings


def go_program(name, sources, *before, verb=("build",), flags=()):
    """A program over the SDKs for Go, built from these files and after these commands, unless it was before; gives its path."""
    tool, module, environment = go()
    folder = SDKS / "go-programs" / name
    release = subprocess.run([tool, "version"], stdout=subprocess.PIPE, env=environment, text=True).stdout
    inputs = [module / "go.mod", module / "go.sum", *sources]
    build = [tool, *verb, *flags, "-o", f"{name}{EXE}", "."]
    if "-race" in flags:  # the detector is a library of C
        environment["CGO_ENABLED"] = "1"
        if not any(map(shutil.which, ("cc", "gcc", "clang"))):
            raise Missing("a C compiler is needed, for Go's detector of data races")
    install(folder, inputs, *before, build, env=environment, tools=release)
    return folder / f"{name}{EXE}"


def pom_of(which):
    return which if isinstance(which, Path) else HERE / "java" / which / "pom.xml"


def java(which):
    """`java`, `javac`, and a class path with the SDK, `coze` or `loop`, or with what the shims need besides it, `shims`; or with what another pom names."""
    tools = [shutil.which(name) for name in ("java", "javac", "mvn")]
    if not all(tools):
        raise Missing("java, javac and mvn are needed, for the SDKs of Java, coze-api and cozeloop-core")
    pom = pom_of(which)
    folder = SDKS / "java" / pom.parent.name
    maven = [tools[2], "-q", "-B", f"-Dmaven.repo.local={SDKS / 'java' / 'repository'}"]
    copy = [*maven, "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies", "-DoutputDirectory=lib"]
    install(folder, [pom], copy)
    # What the pom does not name could be another one tomorrow.
    named = {f"{name}-{version}.jar" for name, version in re.findall(r"<artifactId>(.*)</artifactId><version>(.*)</version>", pom.read_text())}
    if {jar.name for jar in (folder / "lib").iterdir()} != named:
        raise Trouble(f"{pom} does not name exactly what Maven copied to {folder / 'lib'}")
    return tools[0], tools[1], str(folder / "lib" / "*")


def java_program(name, sources, *libraries, agent=None):
    """What starts Java with these files, compiled unless they were before, over these libraries (see `java`). With an agent of theirs."""
    tools = [java(which) for which in libraries]
    path = os.pathsep.join(path for _, _, path in tools)
    tool, compiler, _ = tools[0]
    folder = SDKS / "java-programs" / name
    versions = "".join(one.read_text() for one in map(pom_of, libraries))
    install(folder, sources, [compiler, "-cp", path, "-d", ".", *(source.name for source in sources)], tools=versions)
    # A short life is not worth the second compiler.
    line = [tool, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{folder}{os.pathsep}{path}"]
    if agent:
        jar, (of, argument) = folder / "agent.jar", agent
        if not jar.exists():
            with zipfile.ZipFile(jar, "w") as file:  # the class itself is on the class path
                file.writestr("META-INF/MANIFEST.MF", f"Premain-Class: {of}\n")
        line.append(f"-javaagent:{jar}={argument}")
    return line
