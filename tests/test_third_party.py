"""Another repository's kernels: `third_party/`, as its author would have it, used and gated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claimbench.suite.definitions import DefinitionError
from claimbench.suite.project import followed

HERE = Path(__file__).parent
CLAIM = "arora2020_ntk_beats_linear"
MODULE = "fastgram/gram.py"


def repository(folder: Path) -> Path:
    shutil.copytree(HERE / "third_party", folder)
    return folder


def altered(repo: Path, old: str, new: str, name: str = MODULE) -> Path:
    text = (repo / name).read_text()
    assert old in text
    (repo / name).write_text(text.replace(old, new))
    return repo


def installed(repo: Path, site: Path) -> Path:
    """A folder of packages with what a repository brings; no network is asked."""
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", site, repo]
    subprocess.run(command, check=True, capture_output=True)
    return site


def python(site: Path, folder: Path, *arguments: str, **variables: str) -> Any:
    """The process of a Python that finds the packages of a folder, started in another."""
    alone = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env=os.environ | alone | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The repository as it is, and where it is installed."""
    folder = tmp_path_factory.mktemp("good")
    repo = repository(folder / "repo")
    return repo, installed(repo, folder / "site")


@pytest.fixture(scope="module")
def claimbench(good: tuple[Path, Path]) -> Callable[..., Any]:
    """The command, in the repository."""
    repo, site = good
    return lambda *words: python(site, repo, "-m", "claimbench.suite", *words)


def test_its_claim_and_its_backend_are_there(claimbench: Callable[..., Any]) -> None:
    assert claimbench("check").returncode == 0
    assert CLAIM in {claim["id"] for claim in json.loads(claimbench("list", "--json").stdout)}
    kernels = json.loads(claimbench("kernels", "list", "--json").stdout)
    [ntk] = [kernel for kernel in kernels if kernel["kernel"] == "ntk_gram"]
    assert "fastgram" in ntk["backends"]
    assert CLAIM in ntk["claims"]


CHECK = ("kernels", "check", "ntk_gram", "--backend", "fastgram", "--seed", "0")


def test_its_backend_is_held_against_the_reference(claimbench: Callable[..., Any]) -> None:
    done = claimbench(*CHECK, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)
    assert {f["kind"] for f in findings if not f["refused"]} == {"case", "invariant"}


def test_a_wrong_backend_is_named(tmp_path: Path) -> None:
    repo = altered(repository(tmp_path / "repo"), "if fixed <= level:", "if fixed < level:")
    site = installed(repo, tmp_path / "site")
    done = python(site, repo, "-m", "claimbench.suite", *CHECK)
    assert done.returncode == 1
    assert "ntk_gram on fastgram: " in done.stdout


def test_a_run_measures_what_the_repository_follows(
    claimbench: Callable[..., Any], good: tuple[Path, Path]
) -> None:
    repo, _ = good
    done = claimbench("run", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [
        line
        for path in (repo / "results").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    records = [json.loads(line) for line in lines]
    assert {record["claim"] for record in records} == {CLAIM}
    used = [record["backends"] for record in records if record["method"] == "ntk"]
    assert used == 5 * [{"ntk_gram": "fastgram"}]
    assert claimbench("report").returncode == 0
    index = (repo / "html" / "index.html").read_text()
    assert CLAIM in index
    assert "li2019_pooling_improves_cntk" not in index


def test_a_night_fetches_what_a_tier_needs(claimbench: Callable[..., Any]) -> None:
    done = claimbench("data", "fetch", "quick")
    assert (done.returncode, done.stderr) == (0, "digits: bundled, nothing to fetch\n")
    assert "no claim that is followed here has a tier 'full'" in (
        claimbench("data", "fetch", "full").stderr
    )


def test_its_workflows_install_claimbench_from_where_it_says(
    claimbench: Callable[..., Any], good: tuple[Path, Path]
) -> None:
    repo, _ = good
    assert claimbench("ci", "init", "github").returncode == 0
    gate = (repo / ".github" / "workflows" / "gate.yml").read_text()
    assert "pip install . 'claimbench[asv,report,stats]==0.1.0'" in gate


def test_a_record_knows_the_code_of_a_plug_in(good: tuple[Path, Path], tmp_path: Path) -> None:
    repo, site = good
    other = installed(altered(repository(tmp_path / "repo"), "1, u", "1.0, u"), tmp_path / "site")
    program = "from claimbench.suite import provenance; print(provenance.code())"
    digests = [python(where, repo, "-c", program).stdout for where in (site, other)]
    assert all(digests)
    assert len(set(digests)) == 2


def test_a_plug_in_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    repo = altered(repository(tmp_path / "repo"), "import numpy as np", "import no_such_module")
    site = installed(repo, tmp_path / "site")
    done = python(site, repo, "-m", "claimbench.suite", "list")
    assert done.returncode == 4
    assert "fastgram.brings" in done.stderr
    assert "no_such_module" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_claims_of_one_name_are_an_error(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo")
    claims = repo / "fastgram" / "claims"
    (claims / f"{CLAIM}.toml").rename(claims / "li2019_pooling_improves_cntk.toml")
    site = installed(repo, tmp_path / "site")
    for words in (["check"], ["list"]):
        done = python(site, repo, "-m", "claimbench.suite", *words)
        assert done.returncode == 2
        assert "is called 'li2019_pooling_improves_cntk' too" in done.stderr


# What a repository follows


def table(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_a_repository_may_follow_some_claims(tmp_path: Path) -> None:
    assert followed(tmp_path) == []
    assert followed(table(tmp_path, "[project]\nname = 'x'\n")) == []
    assert followed(table(tmp_path, "[tool.claimbench]\nclaims = ['a', 'b']\n")) == ["a", "b"]


@pytest.mark.parametrize("claims", ["'a'", "[]", "[1]", "true"])
def test_a_list_of_claims_that_is_none_is_an_error(tmp_path: Path, claims: str) -> None:
    with pytest.raises(DefinitionError, match=r"\[tool\.claimbench\]: claims is .*wanted a list"):
        followed(table(tmp_path, f"[tool.claimbench]\nclaims = {claims}\n"))


def test_a_pyproject_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"pyproject\.toml: not TOML"):
        followed(table(tmp_path, "= 1"))


def test_every_commit_is_asked_for_the_same_in_the_same_order(
    good: tuple[Path, Path], tmp_path: Path
) -> None:
    """By a commit that has neither the backend that stands first nor the method of one claim."""
    repo, site = good
    text = (repo / "fastgram" / "claims" / f"{CLAIM}.toml").read_text()
    (tmp_path / "later.toml").write_text(text.replace("fastgram_ridge", "of_tomorrow"))
    asked = {
        "claims": [str(tmp_path / "later.toml"), str(repo / f"fastgram/claims/{CLAIM}.toml")],
        "backends": {"ntk_gram": ["of_tomorrow", "fastgram"]},
    }
    program = """
        from claimbench.suite.benchmarks import claims, kernels
        benchmark = kernels.NtkGram()
        print(benchmark.params)
        benchmark.setup(*[values[-1] for values in benchmark.params])
        try:
            benchmark.setup(*[values[0] for values in benchmark.params])
        except NotImplementedError as e:
            print(e)
        print(claims.Arora2020NtkBeatsLinear.params, claims.Later.params)
        claims.Later().track_seconds("ntk")
    """
    expected = {"CLAIMBENCH_EXPECTED": json.dumps(asked)}
    done = python(site, tmp_path, "-c", textwrap.dedent(program), **expected)
    assert done.stdout.splitlines() == [
        f"[['of_tomorrow', 'fastgram'], ['later.draw', '{CLAIM}.draw']]",
        "ntk_gram has no backend 'of_tomorrow' at this commit",
        "[['ntk', 'linear']] [['ntk', 'linear']]",
    ]
    assert "no method is called 'of_tomorrow'" in done.stderr


# The gate, with asv and an environment for commits, as `claimbench gate --measure` makes them

SHORT = """
from functools import partial
from claimbench.reports import streams
short = streams.Effort(groups=1, least=8, fine=0.05, seconds=4)
streams.measure = partial(streams.measure, efforts=(short, short))
from claimbench.suite.cli import main
main()
"""
LAX = f'\n[tool.claimbench.tolerances]\n"{CLAIM}.shapes.draw" = 1.0\n'
SLOW = ("kappa0 = np.arccos(u)\n", "for _ in range(12):\n        kappa0 = np.arccos(u)\n")


def git(repo: Path, *arguments: str) -> str:
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return subprocess.check_output(["git", *me, *arguments], cwd=repo, text=True).strip()


def commit(repo: Path) -> str:
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "a change")
    return git(repo, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A repository with a good commit, one that changes nothing, and one that is many times slower.

    Times of a short measurement on a busy machine differ, so that only a doubling is news.
    """
    repo = repository(tmp_path_factory.mktemp("history") / "repo")
    shutil.copy(HERE / "asv_here.py", repo / "here.py")
    settings = json.loads((repo / "asv.conf.json").read_text())
    offline = {"plugins": [".here"], "environment_type": "here"}
    (repo / "asv.conf.json").write_text(json.dumps(settings | offline))
    with (repo / "pyproject.toml").open("a") as file:
        file.write(LAX)
    git(repo, "init", "--quiet", "--initial-branch", "main")
    commits = {"good": commit(repo)}
    (repo / "README.md").write_text("Another text.\n")
    commits["same"] = commit(repo)
    altered(repo, *SLOW)
    commits["slow"] = commit(repo)
    installed(repo, repo.parent / "site")
    return repo, commits


@pytest.mark.timeout(900)  # many processes, on a machine that may be busy
@pytest.mark.parametrize(("head", "status"), [("slow", 1), ("same", 0)])
def test_the_gate_tells_a_slower_commit_from_an_equal_one(
    history: tuple[Path, dict[str, str]], head: str, status: int
) -> None:
    for needed in ("asv", "virtualenv"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    repo, commits = history
    words = ["gate", "--measure", "--out", "gate", "--allow", "inconclusive"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = python(
        *(repo.parent / "site", repo, "-c", SHORT, *words, commits["good"], commits[head]),
        PATH=path,
        HOME=str(repo.parent),
    )
    said = done.stdout[-4000:] + done.stderr[-4000:]
    assert done.returncode == status, said
    lines = json.loads((repo / "gate" / "gate.json").read_text())["comparison"]["lines"]
    worse = {line["name"] for line in lines if line["kind"] == "worse"}
    assert worse == ({f"time of fastgram on {CLAIM}.draw"} if status else set()), said
    [run] = json.loads((repo / "gate" / "gate.sarif").read_text())["runs"]
    places = [found["locations"][0]["physicalLocation"] for found in run["results"]]
    assert {p["artifactLocation"]["uri"] for p in places} <= {f"fastgram/claims/{CLAIM}.toml"}
    noisy = [line["reason"] for line in lines if line["kind"] == "not measured"]
    assert all("too noisy" in reason for reason in noisy), said
    unchanged = {line["what"] for line in lines if line["kind"] == "unchanged"}
    assert {"metric", "verdict"} <= unchanged, said
