# SPDX-License-Identifier: Apache-2.0
"""What the documents say is there, is there."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import textwrap
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import typer
import yaml

from adapters.settings import GatewaySettings
from hub.alarms import alarm_kinds
from hub.cli import app, main
from hub.errors import error_kinds
from hub.exchange import Pipeline
from hub.settings import Settings
from tests import alarms_page, refusals_page
from tests.errors_page import PAGE, errors_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = Path(__file__).parents[1]
FOLDERS = ("docs", "contracts", "certs", "dags")
PAGES = sorted((*PROJECT.glob("*.md"), *(p for folder in FOLDERS for p in (PROJECT / folder).rglob("*.md"))))
SOURCES = sorted(p for folder in ("hub", "adapters") for p in (PROJECT / folder).rglob("*.*"))
DECISIONS = sorted((PROJECT / "docs" / "adr").glob("0*.md"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def prose_of(text: str) -> str:
    return _FENCE.sub("", text)


def anchor_of(heading: str) -> str:
    """The anchor that readers of Markdown give a heading: letters, digits and hyphens, in lower case."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def tables_of(text: str) -> Iterator[tuple[str, ...]]:
    for match in _ROW.finditer(prose_of(text)):
        yield tuple(cell.strip() for cell in match[1].split(" | "))


def section_of(page: Path, title: str) -> str:
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    assert rest, f"{name_of(page)} has no section {title}"
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose_of(page.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = unquote(target).partition("#")
        linked = page if not file else (page.parent / file).resolve()
        assert linked.exists(), f"{target} leads nowhere"
        if anchor:
            headings = _HEADING.findall(prose_of(linked.read_text(encoding="utf-8")))
            assert anchor in map(anchor_of, headings), f"{target} leads to no heading"


def test_documents_that_code_and_messages_name_are_there() -> None:
    for source in SOURCES:
        if source.suffix in {".py", ".toml", ".yaml", ".in"}:
            for named in re.findall(r"docs/[a-z0-9/-]+\.md", source.read_text(encoding="utf-8")):
                assert (PROJECT / named).exists(), f"{name_of(source)} names {named}"


def test_sections_of_protocols_that_code_names_are_there() -> None:
    for source in SOURCES:
        if source.suffix not in {".py", ".toml"}:
            continue
        text = source.read_text(encoding="utf-8")
        for named, numbers in re.findall(
            r"(docs/protocols/[a-z]+\.md) sections? ([0-9.]+(?: and [0-9.]+)?)", text
        ):
            headings = _HEADING.findall((PROJECT / named).read_text(encoding="utf-8"))
            for number in numbers.split(" and "):
                wanted = number.rstrip(".")
                assert any(re.match(rf"{re.escape(wanted)}\.? ", each) for each in headings), (
                    f"{name_of(source)} names section {wanted} of {named}"
                )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = re.findall(
        r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)`", text)) | set(
        re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    )
    assert named <= set(targets)


@cache
def commands() -> Mapping[str, Any]:
    """Every command by its words, as the command line has them."""
    if not app.registered_commands:
        put_together()
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        # Typer brings its own copy of click, so a group is known by what it has.
        inner = getattr(command, "commands", None)
        if inner is None:
            found[" ".join(words)] = command
            return
        for name, each in inner.items():
            walk(each, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


def put_together() -> None:
    """Let the command line put itself together; it prints its help and ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["heliograph", "--help"])
        with pytest.raises(SystemExit):
            main()


def shell_lines(text: str) -> Iterator[str]:
    for language, block in _FENCE.findall(text):
        if language in {"sh", "text", ""}:
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`(heliograph [^`]+)`", prose_of(text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    for line in shell_lines(page.read_text(encoding="utf-8")):
        words = shlex.split(line.strip(), comments=True) if "heliograph " in line else []
        if not words or not words[0].endswith("heliograph"):
            continue
        name = next((" ".join(words[1:n]) for n in (4, 3, 2) if " ".join(words[1:n]) in commands()), None)
        assert name is not None, f"no command: {line}"
        known = {option for parameter in commands()[name].params for option in parameter.opts}
        for word in words:
            if word.startswith("--") and word != "--help":
                assert word.partition("=")[0] in known, f"{name} has no option {word}"


def test_the_help_of_every_command_has_an_example_of_it() -> None:
    assert len(commands()) > 10
    for name, command in commands().items():
        assert f"Example: heliograph {name}" in (command.help or ""), name


@pytest.mark.parametrize(("title", "settings"), [("The hub", Settings), ("A gateway", GatewaySettings)])
def test_the_page_of_the_configuration_lists_every_setting_and_its_default(
    title: str, settings: type[Settings | GatewaySettings]
) -> None:
    section = section_of(PROJECT / "docs" / "configuration.md", title)
    rows = {row[0].strip("`"): row[1].strip("`") for row in tables_of(section) if row[0].startswith("`")}
    assert rows.keys() == settings.model_fields.keys()
    for name, field in settings.model_fields.items():
        assert (rows[name] == "–") == field.is_required(), name
        if isinstance(field.default, str | int):
            is_switch = isinstance(field.default, bool)
            assert rows[name] == (str(field.default).lower() if is_switch else str(field.default))


@pytest.mark.parametrize(("title", "settings"), [("The hub", Settings), ("A gateway", GatewaySettings)])
def test_the_example_of_a_configuration_has_known_settings_and_all_that_are_required(
    title: str, settings: type[Settings | GatewaySettings]
) -> None:
    section = section_of(PROJECT / "docs" / "configuration.md", title)
    (example,) = (yaml.safe_load(block) for language, block in _FENCE.findall(section) if language == "yaml")
    required = {name for name, field in settings.model_fields.items() if field.is_required()}
    assert set(example) <= set(settings.model_fields)
    assert {name for name in required if not name.endswith("_passphrase")} <= set(example)


def project() -> dict[str, list[str]]:
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = table["optional-dependencies"]
    named = {
        "The hub and the gateways": table["dependencies"],
        "Only for the demonstration": extras["demo"],
        "Only for development": extras["dev"],
    }
    return {
        title: [re.split(r"[<>=!~ ;\[]", each)[0] for each in requirements]
        for title, requirements in named.items()
    }


@pytest.mark.parametrize("title", project())
def test_the_page_of_the_dependencies_lists_each_once_where_it_belongs(title: str) -> None:
    section = section_of(PROJECT / "docs" / "dependencies.md", title)
    listed = [row[0] for row in tables_of(section) if row[0] != "package" and not row[0].startswith("---")]
    assert sorted(listed) == sorted(project()[title])


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_a_lock_file_has_every_direct_dependency_with_its_digests_and_no_address(name: str) -> None:
    text = (PROJECT / "requirements" / name).read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    groups = [title for title in project() if name == "dev.txt" or title != "Only for development"]
    assert {package for title in groups for package in project()[title]} <= locked
    assert len(re.findall(r"^[a-z0-9-]+==.*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(locked)
    assert "://" not in text


def test_the_page_of_the_errors_is_the_one_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page(), "run .venv/bin/python -m tests.errors_page"


def test_the_page_of_the_alarms_is_the_one_the_table_gives() -> None:
    written = alarms_page.PAGE.read_text(encoding="utf-8")
    assert written == alarms_page.alarms_page(), "run .venv/bin/python -m tests.alarms_page"


def test_the_page_of_the_refusals_is_the_one_the_tables_give() -> None:
    there_is = refusals_page.PAGE.read_text(encoding="utf-8")
    assert there_is == refusals_page.refusals_page(), "run .venv/bin/python -m tests.refusals_page"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_error_code_named_exists(page: Path) -> None:
    families = {code.partition(".")[0] for code in error_kinds()}
    for named in re.findall(r"`([a-z]+\.[a-z0-9_]+\*?)`", prose_of(page.read_text(encoding="utf-8"))):
        family, _, rest = named.partition(".")
        if family not in families or rest in {"py", "md", "toml", "json", "yaml", "pdf"}:
            continue
        if named.endswith("*"):
            assert any(code.startswith(named[:-1]) for code in error_kinds()), named
        elif not (PROJECT / named).exists():
            assert named in error_kinds() or named in alarm_kinds(), named


def test_the_steps_of_the_protocol_are_those_of_the_pipeline_in_their_order() -> None:
    steps_of = inspect.getattr_static(Pipeline, "steps")
    tree = ast.parse(textwrap.dedent(inspect.getsource(steps_of.fget)))
    (returned,) = (node for node in ast.walk(tree) if isinstance(node, ast.Return))
    assert isinstance(returned.value, ast.Tuple)
    steps = [step.attr for step in returned.value.elts if isinstance(step, ast.Attribute)]
    section = section_of(PROJECT / "docs" / "protocols" / "exchange.md", "3. What the hub does, in order")
    assert [row[1].strip("`") for row in tables_of(section) if row[0].isdigit()] == steps
    architecture = section_of(PROJECT / "docs" / "architecture.md", "3. The path of a message")
    assert re.findall(r"\. `([a-z_]+)`", architecture) == steps


def test_the_fault_of_the_example_says_what_the_table_of_errors_says() -> None:
    section = section_of(PROJECT / "docs" / "protocols" / "exchange.md", "10. Example")
    *_, fault = (json.loads(block) for language, block in _FENCE.findall(section) if language == "json")
    kind = error_kinds()[fault["code"]]
    assert (fault["culprit"], fault["retryable"]) == (kind.culprit, kind.retryable)
    assert fault["message"] == {language.value: text for language, text in kind.message.items()}
    assert fault["cure"] == {language.value: text for language, text in kind.cure.items()}


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_a_decision_is_listed_and_names_what_enforces_it(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")
    title = re.match(r"# (\d{4}): (.+)\n", text)
    assert title is not None
    assert f"| [{title[1]}]({decision.name}) | {title[2]} |" in (decision.parent / "README.md").read_text(
        encoding="utf-8"
    )
    _, _, enforced = text.partition("**Enforced by**")
    paths = re.findall(r"`((?:hub|adapters|tests|requirements|pyproject)[\w/.-]*)`", enforced)
    assert paths, "names no test and no rule"
    for path in paths:
        assert (PROJECT / path).exists(), path
