"""What `claimbench ci init` writes: ours among it, clean, and safe with a stranger's work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from claimbench.suite.ci import comment_body
from claimbench.suite.ci.actions import ACTIONS
from claimbench.suite.ci.scaffold import init, rendered
from claimbench.suite.definitions import DefinitionError

ROOT = Path(__file__).parents[1]
OURS = rendered("github", ROOT, "main")
WORKFLOWS = {Path(n).stem: yaml.safe_load(t) for n, t in OURS.items() if "workflows" in n}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def steps(workflow: str, job: str = "") -> list[dict[str, Any]]:
    jobs = WORKFLOWS[workflow]["jobs"]
    found: list[dict[str, Any]] = jobs[job or next(iter(jobs))]["steps"]
    return found


def step(workflow: str, name: str, job: str = "") -> dict[str, Any]:
    [found] = [s for s in steps(workflow, job) if s.get("name", "").startswith(name)]
    return found


# What is written


def test_this_repository_has_exactly_what_the_command_writes() -> None:
    """To renew it: claimbench ci init github --force."""
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / ".github").rglob("*") if p.is_file()}
    assert here == OURS.keys()
    for name, text in OURS.items():
        assert (ROOT / name).read_bytes() == text.encode(), name


@pytest.fixture(params=["claimbench", "other"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Ours, with a script for checks, or one that only uses claimbench."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{request.param}"\n')
    if request.param == "claimbench":
        (tmp_path / ".ci").mkdir()
        (tmp_path / ".ci" / "run").touch()
    for forge in ("github", "gitlab"):
        assert init(forge, tmp_path, branch="main", force=False, dry_run=False) == 0
    return tmp_path


def tool(name: str, *arguments: str | Path) -> None:
    command = Path(sys.executable).parent / name
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing(repository: Path) -> None:
    shutil.copy(ROOT / "action.yml", repository)
    # The strictest of its personas, which asks for the most.
    tool("zizmor", "--offline", "--no-config", "--persona", "auditor", repository)


def test_files_fit_their_schemas(repository: Path) -> None:
    for schema, found in {
        "github-workflows": [*repository.glob(".github/workflows/*")],
        "github-actions": [ROOT / "action.yml"],
        "gitlab-ci": [repository / ".gitlab-ci.yml"],
    }.items():
        assert found
        tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *found)


def test_claimbench_is_installed_from_the_clone_or_beside_it(repository: Path) -> None:
    ours = "claimbench" in (repository / "pyproject.toml").read_text()
    clone = "pip install --no-deps --no-build-isolation ."
    wanted = clone if ours else "pip install . 'claimbench[all]'"
    for name in (".github/workflows/nightly.yml", ".gitlab-ci.yml"):
        assert wanted in (repository / name).read_text()
    assert (repository / ".github/workflows/check.yml").exists() == ours


def test_our_own_jobs_install_by_hash_all_that_has_one() -> None:
    """What has none stands in `locks/elsewhere.in`, which says why."""
    lines = [
        line.strip().partition(" -m pip install ")[2].split()
        for text in OURS.values()
        for line in text.splitlines()
        if " -m pip install " in line
    ]
    assert lines
    for words in lines:
        locked = words[:3] == ["--no-deps", "--require-hashes", "--requirement"]
        if locked:
            assert (ROOT / words[3]).is_file()
        else:
            clone = ["--no-deps", "--no-build-isolation", "."]
            assert words in (clone, ["--constraint", "constraints.txt", "torch", "triton"])


def test_a_night_asks_what_is_known_against_what_is_installed() -> None:
    audit = WORKFLOWS["nightly"]["jobs"]["audit"]
    assert audit["permissions"] == {"contents": "read"}
    assert [s["run"] for s in audit["steps"] if "run" in s][-1] == "tox run -e audit"
    assert "audit" not in WORKFLOWS["gate"]["jobs"]


@pytest.mark.parametrize(
    ("table", "origin"),
    [
        ("[project]\ndependencies = ['claimbench>=0.1']", ">=0.1"),
        ("[project.optional-dependencies]\ngate = ['numpy', 'claimbench[asv]==0.1']", "==0.1"),
        (
            "[dependency-groups]\na = [{include-group = 'b'}, 'not a requirement']\n"
            "b = ['claimbench @ git+https://example.org/claimbench@0123abc']",
            " @ git+https://example.org/claimbench@0123abc",
        ),
    ],
)
def test_claimbench_comes_from_where_the_project_says(
    tmp_path: Path, table: str, origin: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    gate = rendered("github", tmp_path, "main")[".github/workflows/gate.yml"]
    assert f"pip install . 'claimbench[asv,report,stats]{origin}'\n" in gate


def test_a_file_of_another_text_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / ".github/workflows/gate.yml"

    def run(*, force: bool = False, dry_run: bool = False) -> tuple[int, str, str]:
        code = init("github", tmp_path, branch="main", force=force, dry_run=dry_run)
        return code, *capsys.readouterr()

    assert "gate.yml: would be written" in run(dry_run=True)[1]
    assert not gate.exists()
    gate.parent.mkdir(parents=True)
    gate.write_text("mine")
    code, said, complaint = run()
    assert (code, said) == (2, "")
    assert "gate.yml is there with another text" in complaint
    assert "--force" in complaint
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [gate]
    assert run(dry_run=True)[0] == 2
    assert "gate.yml: written" in run(force=True)[1]
    assert gate.read_text().startswith("# Written by")
    assert "gate.yml: as it should be" in run()[1]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="name one with --folder"):
        init("github", tmp_path / "no", branch="main", force=False, dry_run=False)


def test_a_project_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project")
    with pytest.raises(DefinitionError, match=r"pyproject\.toml"):
        init("github", tmp_path, branch="main", force=False, dry_run=False)


def test_the_command_takes_its_arguments(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "claimbench.suite", "ci", "init", "github", "--folder"]
    said = subprocess.check_output([*command, tmp_path, "--branch", "trunk"], text=True)
    assert "history.yml: written" in said
    assert 'branches: ["trunk"]' in (tmp_path / ".github/workflows/history.yml").read_text()
    assert "`claimbench ci init" in (ROOT / "docs" / "commands.md").read_text()


# What the files may do


def test_every_action_is_pinned_to_a_commit_that_two_strangers_name() -> None:
    pins = {str(action) for action in ACTIONS.values()}
    used = {line for t in OURS.values() for line in re.findall(r"uses: (.*)", t)}
    assert used == pins
    for action in ACTIONS.values():
        assert re.fullmatch(r"[0-9a-f]{40}", action.sha)
        assert re.fullmatch(r"v\d+\.\d+\.\d+", action.version)
        owners = {source.split("/")[0] for source in action.sources}
        assert len(owners - {"actions"}) == 2


def test_no_script_holds_an_expression() -> None:
    """An expression in a script is code of whoever may choose its value."""
    found = [s for w in WORKFLOWS.values() for job in w["jobs"].values() for s in job["steps"]]
    for one in [*found, *ACTION["runs"]["steps"]]:
        assert "${{" not in one.get("run", "")


def test_no_suppressed_finding_without_a_reason() -> None:
    for name, text in OURS.items():
        for line in text.splitlines():
            if "zizmor:" in line:
                assert re.search(r"ignore\[[\w-]+\] -- \w+ \w+", line), name


def test_only_the_comment_and_the_history_may_write() -> None:
    may_write = set()
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {}
        for title, job in workflow["jobs"].items():
            if "write" in job["permissions"].values():
                may_write.add((name, title))
                # They run nothing of a repository: no checkout, and no install.
                used = [s.get("uses", "").split("@")[0] for s in job["steps"]]
                assert set(used) <= {"", "actions/download-artifact"}
                assert not any("pip" in s.get("run", "") for s in job["steps"])
    assert may_write == {("comment", "comment"), ("history", "keep")}


@pytest.mark.parametrize("workflow", ["check", "gate", "gpu", "history", "nightly"])
def test_code_is_checked_out_with_its_history_and_without_a_token(workflow: str) -> None:
    checkout = steps(workflow)[0]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_a_pull_request_meets_no_secret_and_a_label_starts_the_gpu() -> None:
    assert "secrets." not in "".join(OURS.values())
    # PyYAML takes the key `on` for a truth value.
    assert WORKFLOWS["gate"][True] == {"pull_request": None}
    assert WORKFLOWS["gpu"][True]["pull_request"] == {"types": ["labeled"]}
    assert "github.event.label.name == 'gpu'" in WORKFLOWS["gpu"]["jobs"]["gpu"]["if"]
    assert WORKFLOWS["gpu"]["jobs"]["gpu"]["runs-on"] == ["self-hosted", "gpu"]


def test_the_history_is_written_by_one_run_at_a_time() -> None:
    one_at_a_time = {"group": "claimbench-results", "cancel-in-progress": False}
    assert WORKFLOWS["history"]["concurrency"] == one_at_a_time


# The comment


def archive(path: Path, lines: Any, name: str = "gate.json") -> Path:
    content = lines if isinstance(lines, str) else json.dumps({"comparison": {"lines": lines}})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return path


def row(reason: Any, kind: str = "worse") -> dict[str, Any]:
    return {"kind": kind, "reason": reason}


def body(path: Path) -> str:
    return comment_body.body(path, "failure", "0" * 40, "https://example.org/run/1")


def test_a_comment_counts_and_says_what_is_not_unchanged(tmp_path: Path) -> None:
    rows = [row("not there", "not measured"), row("slower"), row("as before", "unchanged")]
    said = body(archive(tmp_path / "gate.zip", rows))
    assert said.startswith(comment_body.MARKER + "\n## Gate: failure\n")
    assert "1 not measured, 1 worse, 1 unchanged" in said
    assert "worse         slower" in said
    assert "as before" not in said


HOSTILE = [
    "<!-- hidden --> <img src=x onerror=alert(1)>",
    "@everyone #1 [link](https://example.org) ![](https://example.org/x.png)",
    "```\n## a heading",
    "``````````",
    "\u202egnirts \x1b[31m \u200b \u2028 \ud800 \U000e0041",
    "`" * 500,
]


def test_whatever_the_artifact_says_stays_inside_one_block_of_code(tmp_path: Path) -> None:
    said = body(archive(tmp_path / "gate.zip", [row(text) for text in HOSTILE])).splitlines()
    frame = body(archive(tmp_path / "empty.zip", [])).splitlines()
    # A block ends at the first line that begins with backticks: the last line here.
    fences = [number for number, line in enumerate(said) if line.lstrip().startswith("`")]
    assert fences == [5, len(said) - 1]
    assert said[:6] == frame[:6]
    assert len(said) == len(frame) + len(HOSTILE)
    inside = "".join(said[6:-1])
    assert not re.search("[\u202e\x1b\u200b\u2028\ud800\U000e0041]", inside)


def test_a_long_comment_is_cut_at_a_line_and_says_so(tmp_path: Path) -> None:
    said = body(archive(tmp_path / "gate.zip", [row("x" * 10_000)] * 1000))
    assert 50_000 < len(said) < 65_536
    assert re.search(r"\n\d+ more lines are in gate\.json\.\n```\n$", said)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not JSON",
        "[" * 100_000,
        "null",
        '{"comparison": {"lines": [1]}}',
        json.dumps({"comparison": {"lines": [row({})]}}),
        json.dumps({"comparison": {"lines": [row("x", "## a kind of its own")]}}),
    ],
)
def test_a_result_of_another_form_is_not_shown(tmp_path: Path, content: str) -> None:
    assert "no result that can be read" in body(archive(tmp_path / "gate.zip", content))


def test_an_archive_that_is_none_is_not_shown(tmp_path: Path) -> None:
    assert "no result that can be read" in body(tmp_path / "absent.zip")
    (tmp_path / "gate.zip").write_bytes(b"PK\x03\x04 and no more")
    assert "no result that can be read" in body(tmp_path / "gate.zip")
    other = archive(tmp_path / "other.zip", [], name="../gate.json")
    assert "no result that can be read" in body(other)


def test_an_archive_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    swollen = archive(tmp_path / "gate.zip", " " * (comment_body.JSON_LIMIT + 1))
    assert swollen.stat().st_size < comment_body.JSON_LIMIT / 100
    assert "too long to be shown" in body(swollen)


def test_the_workflow_runs_the_program_alone(tmp_path: Path) -> None:
    write = step("comment", "Write the comment")
    assert write["run"].strip() == Path(comment_body.__file__).read_text().strip()
    assert "GH_TOKEN" not in write["env"]
    archive(tmp_path / "gate.zip", [row("slower")])
    env = dict.fromkeys(write["env"], "x") | {"RUNNER_TEMP": str(tmp_path)}
    subprocess.run([sys.executable, "-I", "-S", "-c", write["run"]], env=env, check=True)
    assert "slower" in (tmp_path / "body.md").read_text()


# The scripts, run with a GitHub that is a folder here

GH = """#!/bin/sh
printf '%s ' "$@" >> "$RUNNER_TEMP/calls"; echo >> "$RUNNER_TEMP/calls"
cat "$RUNNER_TEMP/answer"
"""


def shell(script: str, folder: Path, **env: str) -> dict[str, str]:
    """Run a step as GitHub does, and answer its outputs."""
    tools = folder.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    output = folder.parent / "output"
    output.write_text("")
    subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(folder.parent),
            "RUNNER_TEMP": str(folder.parent),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_REPOSITORY": "owner/repository",
            **env,
        },
        check=True,
        timeout=60,
    )
    return dict(line.split("=", 1) for line in output.read_text().splitlines())


@pytest.mark.parametrize(("answer", "number"), [("7", "7"), ("", None), ("7\n8", None)])
def test_only_one_open_pull_request_with_this_head_is_taken(
    tmp_path: Path, answer: str, number: str | None
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "answer").write_text(answer)
    find = step("comment", "Find the pull request")["run"]
    assert shell(find, tmp_path / "work", HEAD="a:b").get("number") == number


@pytest.mark.parametrize(("earlier", "call"), [("", "POST"), ("11\n12", "PATCH")])
def test_an_earlier_comment_is_written_over(tmp_path: Path, earlier: str, call: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "answer").write_text(earlier)
    post = step("comment", "Post it")
    assert post["env"]["MARKER"] == comment_body.MARKER
    shell(post["run"], tmp_path / "work", NUMBER="7")
    _, last = (tmp_path / "calls").read_text().splitlines()
    assert f"--method {call}" in last
    assert ("issues/comments/11 " if earlier else "issues/7/comments ") in last


def git(folder: Path, *arguments: str) -> str:
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return subprocess.check_output(["git", *me, *arguments], cwd=folder, text=True).strip()


def commit(folder: Path) -> str:
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")


def test_the_history_grows_by_what_each_run_measured(tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    git(tmp_path, "init", "--quiet", "--bare", "owner/repository")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "owner/repository", "clone")
    lay_out = step("history", "Lay out")["run"]
    keep = step("history", "Commit to the branch", "keep")["run"]

    def measure(sha: str) -> str:
        """Both jobs: lay out what is kept, measure, keep what is there now."""
        count = shell(lay_out, clone)["count"]
        for name in (".asv/results/a.json", f"results/{sha}.jsonl"):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_text(sha)
        job = tmp_path / "job"
        shutil.copytree(clone, job / "measured")
        shell(keep, job, GITHUB_SERVER_URL=f"file://{tmp_path}", GITHUB_SHA=sha)
        for used in (job, clone / "results"):
            shutil.rmtree(used)
        return count

    first = commit(clone)
    assert measure(first) == "1"
    commits = [commit(clone) for _ in range(3)]
    assert measure(commits[-1]) == "3"
    assert measure(commits[-1]) == "1"
    for _ in range(7):
        last = commit(clone)
    assert measure(last) == "5"
    git(clone, "fetch", "--quiet")
    tree = git(clone, "ls-tree", "-r", "--name-only", "origin/claimbench-results")
    kept = {f"results/{sha}.jsonl" for sha in (first, commits[-1], last)}
    assert set(tree.splitlines()) == {".asv/results/a.json", *kept}
    assert git(clone, "log", "-1", "--format=%s", "origin/claimbench-results") == last


def test_a_run_without_verdicts_fails_the_night_and_a_refuted_claim_does_not(
    tmp_path: Path,
) -> None:
    script = step("nightly", "Run")["run"].replace("claimbench run", "sh -c 'exit $STATUS'")
    (tmp_path / "work").mkdir()
    for status in "013":
        shell(script, tmp_path / "work", STATUS=status)
    for status in "24":
        with pytest.raises(subprocess.CalledProcessError):
            shell(script, tmp_path / "work", STATUS=status)
