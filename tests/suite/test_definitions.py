"""A wrong claim file is answered with everything that is wrong in it, and where."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from claimbench.suite.cells import cells
from claimbench.suite.checking import all_claim_files, check, load_claims, position
from claimbench.suite.definitions import Claim, DefinitionError, build, claim_files, schema

from . import toys

CLAIMS = [path.name for path in claim_files()]


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_of_the_suite_is_right(name: str) -> None:
    [path] = [path for path in all_claim_files() if path.name == name]
    assert isinstance(check(path), Claim)


def test_the_template_is_a_right_claim() -> None:
    template = Path(__file__).parents[2] / "suite" / "claim_template.toml"
    assert isinstance(check(template), Claim)


def written(folder: Path, text: str) -> Path:
    path = folder / "wrong.toml"
    path.write_text(text)
    return path


def right() -> str:
    return (Path(__file__).parents[2] / "suite" / "claim_template.toml").read_text()


def complaints(folder: Path, text: str) -> list[str]:
    found = check(written(folder, text))
    assert isinstance(found, list)
    return [f"{c.line}:{c.column} {c.where}: {c.message}" for c in found]


def test_every_error_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = (
        right()
        .replace('kernel = "ntk_gram"', 'kernel = "ntk_gramm"')
        .replace('direction = "higher"', 'direction = "up"')
        .replace("[methods.ntk_svm.ntk_svm]\ndepth", "[methods.ntk_svm.ntk_svm]\ndeep")
        .replace('"wine", "breast_cancer"]', '"wime"]')
        .replace('worse = "random_forest"', 'worse = "forest"')
        .replace("trials = 1", 'trials = "one"\ncolour = "red"')
    )
    found = complaints(tmp_path, text)
    lines = text.splitlines()
    for needle, message in [
        ('kernel = "ntk_gramm"', "did you mean 'ntk_gram'?"),
        ('direction = "up"', "should be 'higher' or 'lower'"),
        ("[methods.ntk_svm.ntk_svm]", "unexpected keyword argument 'deep'"),
        ('data = ["iris", "wime"]', "did you mean 'wine'?"),
        ('worse = "forest"', "no method is called 'forest'; did you mean 'random_forest'?"),
        ('trials = "one"', "valid integer"),
        ('colour = "red"', "unknown key"),
    ]:
        [line] = [number for number, text in enumerate(lines, 1) if text.startswith(needle)]
        assert any(c.startswith(f"{line}:") and message in c for c in found), (needle, found)
    assert len(found) == 7


def test_an_element_of_a_list_has_its_own_column(tmp_path: Path) -> None:
    text = right().replace('data = ["iris", "wine", "breast_cancer"]', 'data = ["iris", "wime"]')
    [complaint] = complaints(tmp_path, text)
    assert ":17 tiers.smoke.data.1: no data set is called 'wime'" in complaint


def test_broken_toml_has_a_position(tmp_path: Path) -> None:
    [complaint] = complaints(tmp_path, 'title = "a"\nkernel = = 3\n')
    assert complaint.startswith("2:10 : not valid TOML")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(b"\xff\xfe\x00")
    [complaint] = check(path)  # type: ignore[misc]
    assert "not valid TOML" in str(complaint)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    [complaint] = check(tmp_path / "absent.toml")  # type: ignore[misc]
    assert "cannot be read: No such file" in str(complaint)


def test_other_data_than_the_papers_must_be_called_a_stand_in(tmp_path: Path) -> None:
    text = right().replace('stand_in = "what stands in for the paper\'s data"\n', "")
    [complaint] = complaints(tmp_path, text)
    assert "'wine' is not the paper's; say so in smoke's `stand_in`" in complaint


def test_an_exponent_is_of_a_method_and_has_a_bound(tmp_path: Path) -> None:
    rule = '[rules.grows.exponent]\nmetric = "accuracy"\nof = "forest"\naxis = "depth"\n'
    found = complaints(tmp_path, right().replace("[tiers.smoke]", rule + "[tiers.smoke]"))
    assert len(found) == 3
    assert "rules.grows.exponent: wants `above` or `below`, or both" in found[0]
    assert "rules.grows.exponent.of: no method is called 'forest'" in found[1]
    assert "rules.grows.exponent.axis: no axis is called 'depth'" in found[2]


def test_an_axis_wants_a_list() -> None:
    broken = toys.tables(methods={"level": {"toy_level": {"level": 0.9}}})
    from claimbench.suite.checking import references

    assert any(
        "'level' is an axis and wants a list" in message for _, message in references(broken)
    )


def test_a_replaced_argument_must_fit(tmp_path: Path) -> None:
    text = right().replace("trials = 1", "trials = 1\nset.ntk_svm = { dept = 3 }\nset.x = {}")
    found = complaints(tmp_path, text)
    assert any("unexpected keyword argument 'dept'" in c for c in found)
    assert any("no method, protocol or rule has the label 'x'" in c for c in found)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (
            "inputs = { x1 = [8, 8] }\narguments = { depths = [3] }",
            "wanted (images, channels, height, width)",
        ),
        ("inputs = { x1 = [2, 1, 8, 8] }\narguments = { depths = [0] }", "cntk_gram: "),
        ("inputs = { x1 = [2, 1, 8, 8] }\narguments = { depth = [3] }", "depth"),
        ("inputs = { x1 = [2, 1, 8, 8], x2 = [2, 3, 8, 8] }\narguments = { depths = [3] }", "x2"),
    ],
)
def test_a_shape_must_be_one_that_the_kernel_takes(tmp_path: Path, shape: str, wanted: str) -> None:
    text = right().replace('kernel = "ntk_gram"', 'kernel = "cntk_gram"')
    text = text.partition("[shapes.")[0]
    found = complaints(tmp_path, f'{text}\n[shapes.odd]\ntier = "smoke"\n{shape}\n')
    assert len(found) == 1
    assert "shapes.odd" in found[0]
    assert wanted in found[0]


def test_a_method_may_run_under_some_protocols_alone(tmp_path: Path) -> None:
    claim = toys.claim(
        protocols={"split": {"holdout": {"train": 30, "test": 30}}, "folds": {"nested_folds": {}}},
        tiers={
            "smoke": {
                "data": ["iris"],
                "protocols": ["split", "folds"],
                "trials": 1,
                "seconds": 1.0,
                "only": {"rival": ["split"]},
            }
        },
    )
    run = [(cell.method, cell.protocol) for cell in cells(claim, "smoke")]
    assert run == [("level", "split"), ("rival", "split"), ("level", "folds")]
    text = right().replace("trials = 1", 'trials = 1\nonly = { ntk_svn = ["papper"] }')
    found = complaints(tmp_path, text)
    assert any("no method is called 'ntk_svn'; did you mean 'ntk_svm'?" in c for c in found)
    assert any("no protocol is called 'papper'" in c for c in found)


def test_wrong_shapes_of_tables_do_not_crash(tmp_path: Path) -> None:
    """Whatever is where a table should be, the answer is a complaint."""
    for section in ("source", "metrics", "methods", "protocols", "rules", "tiers", "published"):
        for value in ("3", '"text"', "[]", "[1]", "{}", "{ a = 1 }", "{ a = [] }", "{ a = {} }"):
            text = f"{section} = {value}\n" + 'title = "t"\n'
            assert check(written(tmp_path, text)), (section, value)


def test_positions_lead_to_the_nearest_key_above() -> None:
    source = b'title = "t"\n[a.b]\nc = { d = [1, 2] }\n[[e]]\nx = 1\n[[e]]\nx = 2\n'
    assert position(source, ("a", "b", "c", "d", 1)) == (3, 15)
    assert position(source, ("e", 1, "x")) == (7, 1)
    assert position(source, ("a", "b", "absent")) == (2, 1)
    assert position(source, ("nowhere",)) == (1, 1)


def test_an_unknown_claim_is_met_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="did you mean 'arora2020_cntk_beats_resnet'"):
        load_claims(["arora2020_cntk_beats_resnets"])


@pytest.mark.parametrize("name", CLAIMS)
def test_the_json_schema_accepts_what_the_suite_holds(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    [path] = [path for path in claim_files() if path.name == name]
    jsonschema.validate(tomllib.loads(path.read_text()), json.loads(json.dumps(schema())))


def test_a_claim_is_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        toys.claim().title = "other"  # type: ignore[misc]


def test_numbers_must_be_finite(tmp_path: Path) -> None:
    found = build(
        tmp_path / "toy.toml",
        toys.tables(
            metrics={"accuracy": {"direction": "higher", "unit": "f", "tolerance": float("nan")}}
        ),
    )
    assert isinstance(found, list)
    assert found[0][0] == ("metrics", "accuracy", "tolerance")
