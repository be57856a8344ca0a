#!/usr/bin/env python3
"""The JUnit extension of the mock, compiled once and run under each JUnit, and its sample project with the released coze-java, with the debug binary. `just junit`."""

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from checks import ROOT, Wrong, main, run, say, users  # noqa: E402
from install import SDKS, TARGET, Missing  # noqa: E402

PACKAGE = HERE / "coze-auth-mock"
# Beside that of pom.xml, for which everything is compiled.
NEWER_JUNIT = "6.1.2"
# A short life is not worth the second compiler.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def staged(version):
    """The package and its sample in the target folder, with the version of the workspace: what is published, and where Maven builds."""
    folder = TARGET / "junit"
    kept = shutil.ignore_patterns("target", "LICENSE-*")
    for path in ("src", "example/src"):
        shutil.rmtree(folder / path, ignore_errors=True)
    shutil.copytree(PACKAGE, folder, ignore=kept, dirs_exist_ok=True)
    pom = folder / "pom.xml"
    text = pom.read_text(encoding="utf-8").replace("    <revision>checkout</revision>\n", "").replace("${revision}", version)
    pom.write_text(text, encoding="utf-8")
    return folder


def check(mock, version):
    maven = shutil.which("mvn")
    if not maven or not shutil.which("javac"):
        raise Missing("a JDK and mvn are needed, for the extension of JUnit")
    folder = staged(version)
    command = [maven, "-B", f"-Dmaven.repo.local={SDKS / 'java' / 'repository'}", f"-Dcoze-auth-mock.version={version}", f"-DargLine={QUICK}"]
    for project, goal in ((folder, "install"), (folder / "example", "test")):
        for goals in ([goal], ["surefire:test", f"-Djunit.version={NEWER_JUNIT}"]):
            said = run([*command, *goals], cwd=project, env={**users(mock), "MAVEN_OPTS": QUICK})
            tests = re.findall(r"Tests run: (\d+), Failures: 0, Errors: 0, Skipped: (\d+)$", said, re.M)
            if not tests or tests[-1][1] != "0":
                raise Wrong(f"no test ran, or one was skipped:\n{said[-4000:]}")
            junit = NEWER_JUNIT if goals[1:] else re.search("<junit.version>(.*)<", (project / "pom.xml").read_text())[1]
            say(f"{(PACKAGE / project.relative_to(folder)).relative_to(ROOT)}, JUnit {junit}: {tests[-1][0]} passed")
    (jar,) = (folder / "target").glob("*.jar")
    if jar.name != f"coze-auth-mock-{version}.jar":
        raise Wrong(f"{jar.name} is not of the version {version}")
    say(f"{jar.name}: {jar.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main(__doc__, check))
