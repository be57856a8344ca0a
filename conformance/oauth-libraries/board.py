"""The table of docs/scoreboard.md that is about OAuth libraries, made from outcomes.md. `just bridge` holds it, `just scoreboard` writes it behind its own."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTCOMES = HERE / "outcomes.md"
PAGE = HERE.parents[1] / "docs" / "scoreboard.md"
TITLE = "## OAuth libraries"
HOWS = ["as it is", "by recipe", "bridge"]
WORDS = """Released libraries that know OAuth 2.0 and nothing of Coze: how many pass of login, profile, a renewal after the real end of the token, another in a row, and the words of a refusal. Unmodified they
are judged as they are and through `coze-auth bridge`, and by the lines of [Another OAuth library](oauth-libraries.md); arctic has no hook for them. `just bridge` makes the table, and
[`outcomes.md`](../conformance/oauth-libraries/outcomes.md) has each outcome."""


def rows():
    """The rows of outcomes.md by library and how, each whole."""
    lines = OUTCOMES.read_text(encoding="utf-8").splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in lines]
    return {(row[0], row[1]): row for row in cells}


def section():
    held = rows()

    def passed(library, how):
        outcomes = held[library, how][2:] if (library, how) in held else []
        if not outcomes or set(outcomes) == {"no hook"}:
            return "no hook" if outcomes else "not judged"
        return f"{outcomes.count('pass')} of {len(outcomes)}"

    libraries = dict.fromkeys(library for library, _ in held)
    table = [["library", "as it is", "by recipe", "through the bridge"], ["---"] * 4]
    table += [[library, *(passed(library, how) for how in HOWS)] for library in libraries]
    return f"\n{TITLE}\n\n{WORDS}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in table)


def before(text):
    """The page without this section, which is its last."""
    return text.split(f"\n{TITLE}\n")[0]


def write(page=PAGE):
    page.write_text(before(page.read_text(encoding="utf-8")) + section(), encoding="utf-8")


def is_held():
    """Whether the page has what outcomes.md makes of it."""
    text = PAGE.read_text(encoding="utf-8")
    return text == before(text) + section()
