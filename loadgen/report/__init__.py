"""The report of a run as one self-contained HTML file, from the run's JSON document alone.

The charts are drawn by `charts.js`, which is ours: no package of PyPI carries ECharts, so that a report with it would
need npm, a network, and 1.1 MB.
"""
