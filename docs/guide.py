#!/usr/bin/env python3
"""Builds the guide, a book for each language, in target/guide, and follows every link in it. `just guide`."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MDBOOK = "0.5.4"
DOCS = Path(__file__).resolve().parent
WORKSPACE = DOCS.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or WORKSPACE / "target").resolve()
GUIDE = TARGET / "guide"
LINK = re.compile(r"\[((?:`[^`]*`|[^\[\]`])*)\]\(([^)\s]+)\)")
BLOCK = re.compile(r"(^```.*?^```$)", re.M | re.S)


def mdbook():
    """The program, in the version above; installed below the target folder if it is missing."""
    root = TARGET / "mdbook"
    program = root / "bin" / ("mdbook.exe" if os.name == "nt" else "mdbook")
    for known in (shutil.which("mdbook"), program if program.exists() else None):
        if known and MDBOOK in subprocess.run([known, "--version"], capture_output=True, text=True).stdout:
            return known
    # Not optimised: the books are small, and it builds in half the time. Only what builds books: no server, no search.
    quick = {**os.environ, "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_INCREMENTAL": "0"}
    for alien in ("CARGO_TARGET_DIR", "RUSTFLAGS"):
        quick.pop(alien, None)
    options = ["--version", MDBOOK, "--locked", "--no-default-features", "--debug", "--quiet", "--root", root]
    subprocess.run(["cargo", "install", "mdbook", *options], env=quick, check=True)
    return program


def stage(book, root, source):
    """
    Copies a book's pages to `source`, each at its path below `root`, so that links between the packages of the
    repository lead where they lead there. A README is the page of its folder. Gives what its pages link to outside.
    """
    summary = (book / "SUMMARY.md").read_text(encoding="utf-8")
    pages = {(book / link).resolve() for _, link in LINK.findall(summary)}
    outside = set()

    def named(page):
        if page == WORKSPACE / "README.zh-CN.md":
            return DOCS / "zh-CN" / "index.md"  # the first page of the book in Chinese
        return page.with_name("index.md") if page.name == "README.md" else page

    def relinked(text, page, above):
        def led(match):
            words, link = match.groups()
            path, *anchor = link.split("#", 1)
            if "://" in path or not path:
                return match[0]
            to = (page.parent / path).resolve()
            to = to / "README.md" if to / "README.md" in pages else to
            if to.is_dir():
                return words  # a folder of the sources, which the book does not have
            if to not in pages:
                outside.add(to)
            path = Path(os.path.relpath(named(to), above)).as_posix()
            return f"[{words}]({'#'.join([path, *anchor])})"

        return LINK.sub(led, text)

    for page in pages:
        copy = source / named(page).relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        parts = BLOCK.split(page.read_text(encoding="utf-8"))
        parts[::2] = [relinked(part, page, named(page).parent) for part in parts[::2]]
        copy.write_text("".join(parts), encoding="utf-8")
    (source / "SUMMARY.md").write_text(relinked(summary, book / "SUMMARY.md", root), encoding="utf-8")
    shutil.copy(book / "book.toml", source)
    shutil.copy(DOCS / "guide.css", source)
    return outside


class Page(HTMLParser):
    """The anchors and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        self.links += [value for key, value in attributes.items() if key in ("href", "src") and value]


def follow_links(books):
    """What is wrong with a link of a built page; prints how many there are."""
    pages = {path: Page(path) for path in sorted(books.rglob("*.html"))}
    wrong, links = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            links += 1
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            to = to / "index.html" if to.is_dir() else to
            anchor = unquote(parts.fragment)
            if not to.is_file():
                wrong.append(f"{path.relative_to(books)}: {link} leads to nothing")
            elif anchor and to in pages and anchor not in pages[to].anchors:
                wrong.append(f"{path.relative_to(books)}: {link} has no such anchor")
    print(f"{len(pages)} pages, {links} links and {sum(len(page.anchors) for page in pages.values())} anchors")
    return wrong


def main():
    program = mdbook()
    shutil.rmtree(GUIDE, ignore_errors=True)
    books = GUIDE / "book"
    # English first: mdBook empties the folder that it writes to, and the other languages stand below it.
    outside = set()
    for book, root in ((DOCS, WORKSPACE), (DOCS / "zh-CN", DOCS / "zh-CN")):
        source = GUIDE / "pages" / book.name
        outside |= stage(book, root, source)
        written = books / root.relative_to(WORKSPACE)
        subprocess.run([program, "build", source, "--dest-dir", written], env={**os.environ, "MDBOOK_LOG": "warn"}, check=True)
    for to in sorted(path for path in outside if path.is_file() and path.suffix != ".md"):
        copy = books / to.relative_to(WORKSPACE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(to, copy)
    wrong = follow_links(books)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"the guide: {books / 'index.html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
