"""The pages about shims in Go and in Java: their code is that of the shims, and what they say to run, runs."""

import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from install import SDKS, go, java
from mock_case import expect

HERE = Path(__file__).resolve().parent
BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$", re.M | re.S)


def blocks(page, language):
    return [text for named, text in BLOCK.findall((HERE / page).read_text(encoding="utf-8")) if named == language]


def page(name, language, first, others, environment, library=None):
    def check(_):
        codes = [(HERE / file).read_text(encoding="utf-8") for file in others]
        [whole, *excerpts] = blocks(name, language)
        expect(f"{name} shows {first} whole", (HERE / first).read_text(encoding="utf-8"), whole)
        for text in excerpts:
            for part in text.split("\n\n"):
                expect(f"{name} shows another {others}: {part}", True, any(part.strip("\n") in code for code in codes))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / first).write_text(whole, encoding="utf-8")
            if library:
                (Path(folder) / "lib").symlink_to(library)
            [commands] = blocks(name, "console")
            for line in commands.splitlines():
                done = subprocess.run(shlex.split(line.removeprefix("$ ")), cwd=folder, env=environment(), capture_output=True, text=True)
                expect(f"{line}: {done.stderr}", 0, done.returncode)

    return f"page-{language}", check


CASES = {
    "first-go": [page("a-shim-in-go.md", "go", "first_shim.go", ["coze_go_shim.go"], lambda: go()[2])],
    "first-java": [
        page("a-shim-in-java.md", "java", "FirstShim.java", ["CozeJavaShim.java"], lambda: java("coze") and None, SDKS / "java" / "coze" / "lib")
    ],
}
