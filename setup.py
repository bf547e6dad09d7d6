"""What pyproject.toml cannot say in short: kernels in C++, one library for each instruction set.

Without a compiler the package installs without them, and the backend `cpu` says so.
"""

import copy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = {
    "generic": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma"],
}
# No flag that reorders sums or assumes that there is no NaN: kernels say where they may.
COMMON = [
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-g0",
]


class BuildApart(build_ext):
    """Each library with objects of its own: all have the same sources, side by side."""

    def build_extension(self, ext: Extension) -> None:
        apart = copy.copy(self)
        apart.build_temp = str(Path(self.build_temp, ext.name))
        super(BuildApart, apart).build_extension(ext)


setup(
    cmdclass={"build_ext": BuildApart},
    ext_modules=[
        Extension(
            f"claimbench.kernels._compiled_{level}",
            sources=sorted(map(str, Path("kernels").rglob("*.cpp"))),
            depends=sorted(map(str, Path("kernels").rglob("*.h"))),
            extra_compile_args=[*COMMON, *flags],
            extra_link_args=["-pthread"],
            language="c++",
            optional=True,
        )
        for level, flags in FLAGS.items()
    ],
    options={"build_ext": {"parallel": True}},
)
