"""Draws the comparison: a panel for each case, a line for each tool, seconds against awards, both logarithmic."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import ScalarFormatter

from bench.report import CASES, Results

COLOURS = {"gpuprov": "#0072b2", "kubectl": "#000000", "helm": "#009e73", "terraform": "#cc79a7", "plain": "#d55e00"}
"""Colours that people with any kind of colour vision can tell apart."""

NAMES = {"plain": "plain Pulumi", "kubectl": "kubectl", "helm": "Helm", "terraform": "Terraform"}


def draw(results: Results, path: Path) -> None:
    """Write the picture as SVG, the same bytes for the same figures."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gpuprov"
    figure, axes = plt.subplots(1, len(CASES), figsize=(16, 3.8), sharey=True, layout="constrained")
    for axis, (case, title) in zip(axes, CASES.items(), strict=True):
        for tool in results.tools:
            points = [(n, s) for n in results.sizes if (s := results.medians(tool, n, case)) is not None]
            if points:
                width = 2.4 if tool == "gpuprov" else 1.4
                line = {"color": COLOURS.get(tool), "linewidth": width, "marker": "o", "markersize": 4}
                axis.plot(*zip(*points, strict=True), label=NAMES.get(tool, tool), **line)
        axis.set(title=title, xlabel="awards", xscale="log", yscale="log", xticks=results.sizes)
        axis.minorticks_off()
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter(ScalarFormatter())
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds")
    if results.tools:
        axes[0].legend(fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
