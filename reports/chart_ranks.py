"""Critical-difference diagrams, by scikit-posthocs on matplotlib."""

from __future__ import annotations

import io

from . import words
from .chart_grammar import INK, hue
from .figures import HUES, Ranks


def ranks(figure: Ranks) -> str:
    """A critical-difference diagram, with Nemenyi's test."""
    import matplotlib
    import numpy as np
    import scikit_posthocs
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas
    from scipy import stats

    names = [words.inert(name)[:60] for name in figure.values]
    table = np.asarray(list(figure.values.values())).T
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    alike = scikit_posthocs.posthoc_nemenyi_friedman(table)
    alike.index = alike.columns = names
    palette = {
        name: _STAND_INS[hue(figure, key)] for name, key in zip(names, figure.values, strict=True)
    }
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "claimbench"}):
        canvas = Canvas(figsize=(6.6, 0.9 + 0.28 * len(names)))
        FigureCanvasSVG(canvas)
        scikit_posthocs.critical_difference_diagram(
            dict(zip(names, map(float, ranks), strict=True)),
            alike,
            ax=canvas.add_subplot(),
            color_palette=palette,
            label_props={"fontsize": 8.5},
            text_h_margin=0.05,
        )
        target = io.StringIO()
        canvas.savefig(
            target, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
    return _themed(target.getvalue())


_STAND_INS = tuple(f"#0000{hue + 1:02x}" for hue in range(HUES))
"""matplotlib wants true colours; these are nobody's, and become the style sheet's."""


def _themed(svg: str) -> str:
    for place, colour in enumerate(_STAND_INS):
        svg = svg.replace(colour, f"var(--hue-{place})")
    return svg.replace("#000000", INK)
