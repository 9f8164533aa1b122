"""The house itself: names, wheels, locks."""

import re
from importlib.metadata import packages_distributions
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent
_FOLDERS = ("schemas", "packages", "storage", "pipeline", "flows", "dashboard", "stele")


def test_no_other_distribution_owns_our_names() -> None:
    """Flat top-level packages are safe only as long as nobody else uses their names."""
    owners = packages_distributions()
    for folder in _FOLDERS:
        assert set(owners.get(folder, ["stele"])) == {"stele"}, folder


def test_every_module_says_what_it_is_for() -> None:
    """Module docstrings are not optional."""
    for folder in _FOLDERS:
        for source in (_ROOT / folder).rglob("*.py"):
            text = source.read_text("utf-8")
            assert not text.strip() or text.lstrip().startswith('"""'), source


def test_no_drawer_modules() -> None:
    """utils, helpers, common, misc and base are not names."""
    names = {source.stem for folder in _FOLDERS for source in (_ROOT / folder).rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "misc", "base"}


def test_the_lock_names_no_address() -> None:
    """Versions only."""
    for line in (_ROOT / "requirements.lock").read_text("utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+( ; .+)?", line), line


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md has a line for each."""
    project = (_ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.findall(r'^  "([a-z0-9-]+)[\[>=]', project, re.MULTILINE)
    page = (_ROOT / "docs/dependencies.md").read_text("utf-8")
    missing = [name for name in listed if f"`{name}`" not in page]
    assert listed
    assert not missing


def test_every_verb_is_in_the_reference() -> None:
    """docs/reference/command-line.md names each command of the front door, groups included."""
    from stele.cli.command_table import every_command

    page = (_ROOT / "docs/reference/command-line.md").read_text("utf-8")
    missing = []
    for name, *verb in every_command():
        line = rf"^stele {name}\b.*\b{verb[0]}\b" if verb else rf"^stele {name}\b"
        if not re.search(line, page, re.MULTILINE):
            missing.append(f"stele {name} {verb}")
    assert not missing


def test_links_between_documents() -> None:
    """No dead link in README and docs."""
    dead = []
    for document in [_ROOT / "README.md", *(_ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if not (document.parent / target).exists():
                dead.append(f"{document.name}: {target}")
    assert not dead


def test_decisions_have_their_own_numbers() -> None:
    """An ADR's number is used once, and none is left out."""
    numbers = sorted(int(path.name[:4]) for path in (_ROOT / "docs/adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_part_of_the_catalogue_knows_everything() -> None:
    """Small repositories by subject: at most ten public methods each."""
    from storage.catalogue.catalogue import Catalogue
    from storage.catalogue.repository import Repository

    catalogue = Catalogue("sqlite://")
    parts = {name: part for name, part in vars(catalogue).items() if isinstance(part, Repository)}
    assert len(parts) > 10
    for name, part in parts.items():
        public = [one for one in dir(part) if not one.startswith("_") and callable(getattr(part, one))]
        assert 0 < len(public) <= 10, (name, public)
    catalogue.close()


_RETIRED = (
    r"owed|unsound|soundness|ManyHands|OneByOne|Shelf|Undeliverable|ToolGaveUp|bury_the_dead|buried"
    r"|patience|_PATIENCE|_SLOWEST|_Mender|mend(?:s|ed|er|ing)?|looked_at|most_of_one|held_again|sidecar_limit"
    r"|dealt with|gone on with|worry|former life|said loudly|seen whole|this morning|out again|is away"
    r"|Outcome\.HELD|stele hold (?:list|decide)"
)


def test_retired_words_do_not_come_back() -> None:
    """docs/glossary.md lists what replaced them; history (ADRs, CHANGELOG, migrations) keeps them."""
    found = []
    places = [_ROOT / "README.md", *(_ROOT / "docs").rglob("*.md")]
    for folder in (*_FOLDERS, "config", "tests"):
        for kind in ("py", "html", "po", "tsv", "toml", "md"):
            places += (_ROOT / folder).rglob(f"*.{kind}")
    history = ("docs/adr/", "docs/glossary.md", "storage/catalogue/migrations/", "tests/unit/test_house.py")
    for place in places:
        name = place.relative_to(_ROOT).as_posix()
        if not name.startswith(history):
            for number, line in enumerate(place.read_text("utf-8").splitlines(), 1):
                if word := re.search(rf"\b(?:{_RETIRED})\b", line, re.IGNORECASE):
                    found.append(f"{name}:{number}: {word[0]}")
    assert not found


def test_every_folder_says_what_lives_there() -> None:
    """A README of some ten lines for each, linked from the first one."""
    front = (_ROOT / "README.md").read_text("utf-8")
    for folder in (*_FOLDERS, "config", "tests", "bench"):
        lines = (_ROOT / folder / "README.md").read_text("utf-8").splitlines()
        assert len(lines) <= 20, folder
        assert f"({folder}/README.md)" in front
