"""`claimbench ci init`: files rendered from templates, and written all together or not at all."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FunctionLoader, StrictUndefined
from packaging.requirements import InvalidRequirement, Requirement

from ..answers import ALL_GOOD, WRONG_USAGE
from ..definitions import DefinitionError
from ..project import contents
from ..writing import write
from . import comment_body
from .actions import ACTIONS

Forge = Literal["github", "gitlab"]

WORKFLOWS = ("check", "comment", "gate", "gpu", "history", "nightly")
RESULTS_BRANCH = "claimbench-results"


def init(forge: Forge, folder: Path, *, branch: str, force: bool, dry_run: bool) -> int:
    """Write the files of one forge; refuse as a whole where one is there with another text."""
    if not folder.is_dir():
        raise DefinitionError(f"there is no folder {folder}; name one with --folder")
    texts = {folder / name: text for name, text in rendered(forge, folder, branch).items()}
    state = {path: _state(path, text) for path, text in texts.items()}
    altered = [path for path in texts if state[path] == "altered"]
    if altered and not force:
        for path in altered:
            print(f"claimbench: {path} is there with another text", file=sys.stderr)
        print("nothing was written; --force overwrites", file=sys.stderr)
        return WRONG_USAGE
    for path, text in texts.items():
        if state[path] == "same":
            print(f"{path}: as it should be")
            continue
        if not dry_run:
            write(path, text)
        print(f"{path}: {'would be written' if dry_run else 'written'}")
    return ALL_GOOD


def _state(path: Path, text: str) -> Literal["absent", "altered", "same"]:
    if not path.exists():
        return "absent"
    return "same" if path.read_bytes() == text.encode() else "altered"


def rendered(forge: Forge, folder: Path, branch: str) -> dict[str, str]:
    """The text of every file that a repository gets, by its path in it.

    A repository with a script `.ci/run` gets a check that runs it. One whose project is not
    claimbench itself installs claimbench beside it, from where its pyproject.toml says.
    """
    project = contents(folder)
    environment = Environment(
        # GitHub's expressions have jinja's usual braces.
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<{",
        variable_end_string="}>",
        comment_start_string="<#",
        comment_end_string="#>",
        loader=FunctionLoader(lambda name: _text("templates", name)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        ACTIONS,
        branch=branch,
        results_branch=RESULTS_BRANCH,
        comment_program=_text("comment_body.py"),
        comment_marker=comment_body.MARKER,
        has_check=(folder / ".ci" / "run").is_file(),
        own=project.get("project", {}).get("name") == "claimbench",
        origin=_origin(project),
    )
    if forge == "gitlab":
        return {".gitlab-ci.yml": environment.get_template("gitlab-ci.yml.j2").render()}
    names = [name for name in WORKFLOWS if name != "check" or environment.globals["has_check"]]
    paths = ["actionlint.yaml", *(f"workflows/{name}.yml" for name in names)]
    return {
        f".github/{path}": environment.get_template(f"{Path(path).name}.j2").render()
        for path in paths
    }


def _text(*name: str) -> str:
    return files(__package__).joinpath(*name).read_text(encoding="utf-8")


def _origin(project: dict[str, Any]) -> str:
    """What stands behind the name in the first requirement on claimbench: a URL, or versions."""
    table = project.get("project", {})
    lists = [
        table.get("dependencies", []),
        *table.get("optional-dependencies", {}).values(),
        *project.get("dependency-groups", {}).values(),
    ]
    for line in chain(*lists):
        with suppress(InvalidRequirement, TypeError):  # a group may include another
            if (wanted := Requirement(line)).name == "claimbench":
                return f" @ {wanted.url}" if wanted.url else str(wanted.specifier)
    return ""
