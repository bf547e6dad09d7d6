"""The actions that written workflows use, each pinned to the commit behind a release.

A tag can be moved to other code and a commit cannot. Every row was found, commit and version
together, in two repositories that have nothing to do with each other; `docs/ci.md` says how to
renew one.
"""

from __future__ import annotations

from typing import NamedTuple


class Action(NamedTuple):
    """One release of an action.

    Attributes:
        sources: files that pin the same commit under the same version, as `repository path@commit`.
    """

    name: str
    version: str
    sha: str
    sources: tuple[str, str]

    def __str__(self) -> str:
        """What stands behind `uses:`."""
        return f"{self.name}@{self.sha} # {self.version}"


GH_AW = "github/gh-aw .github/aw/actions-lock.json@011f02467ee9666ca9e08d41c2036c42671fb676"
NUMPY = "numpy/numpy .github/workflows/mypy_primer.yml@02a5ec48a4293f5891c55760aa075454b610da1d"
ZIZMOR = (
    "zizmorcore/zizmor .github/workflows/release-binaries.yml"
    "@002690a040675f062eefd532f9112f352cf44ff0"
)

ACTIONS = {
    "cache": Action(
        "actions/cache",
        "v6.1.0",
        "55cc8345863c7cc4c66a329aec7e433d2d1c52a9",
        (
            GH_AW,
            "onomondo/onomondo-softsim-cli .github/workflows/rust.yml"
            "@00f848bf3778d2e8c22293c0bba78740972ff440",
        ),
    ),
    "checkout": Action(
        "actions/checkout",
        "v6.0.2",
        "de0fac2e4500dabe0009e67214ff5f5447ce83dd",
        (
            NUMPY,
            "zizmorcore/zizmor .github/workflows/codegen.yml"
            "@3de58f4a1690bb3d7b0ca5428f3ceb0ac786b74a",
        ),
    ),
    "download_artifact": Action(
        "actions/download-artifact",
        "v8.0.1",
        "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
        (GH_AW, ZIZMOR),
    ),
    "setup_python": Action(
        "actions/setup-python",
        "v6.2.0",
        "a309ff8b426b58ec0e2a45f0f869d46889d02405",
        (
            NUMPY,
            "CrowdStrike/foundry-fn-python .github/workflows/python-package.yml"
            "@9fcec78bcce0c0fb9570e1afce77e7ed4e52e986",
        ),
    ),
    "upload_artifact": Action(
        "actions/upload-artifact",
        "v7.0.1",
        "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
        (GH_AW, ZIZMOR),
    ),
}
