"""The chart: a panel per figure that matters, a bar per contestant."""

import html

PANELS = [  # work, link, metric, heading
    ("cold-sequential", "1g20", "rate", "Cold, sequential, 1 Gbit/s 20 ms (MB/s)"),
    ("cold-sequential", "4g50", "rate", "Cold, sequential, 4 Gbit/s 50 ms (MB/s)"),
    ("cold-tensors", "4g50", "rate", "Cold, tensors in shuffled order, 4 Gbit/s 50 ms (MB/s)"),
    ("rank", "4g50", "useful", "One rank of eight, useful MB/s, 4 Gbit/s 50 ms"),
    ("random", "1g20", "p50", "Random 256 KiB, 1 Gbit/s 20 ms (ms, less is better)"),
    ("forward-pass", "1g20", "first", "First layer done, 1 Gbit/s 20 ms (s, less is better)"),
    ("replicas", "200m20", "bytes", "Origin bytes per model, by replicas that load it at once (less is better)"),
    ("replicas", "200m20", "time", "Time of the slowest of the replicas, 200 Mbit/s 20 ms (s, less is better)"),
    ("imports", "1g20", "cold", "import numpy, scipy, sklearn, 1 Gbit/s 20 ms (s, less is better)"),
]
WIDTH, NAMES, ROW, GAP = 760, 260, 20, 34
OURSELVES = "modelfs"
OURS, OTHERS, INK = "#2563eb", "#9ca3af", "#111827"


def panel(heading, values, top):
    """SVG of one panel, and its height. `values`: {title of a row: median}."""
    most = max(values.values()) or 1
    parts = [f'<text x="8" y="{top + 16}" font-weight="bold">{html.escape(heading)}</text>']
    for row, (name, value) in enumerate(values.items()):
        y = top + 26 + row * ROW
        length = max(1, value / most * (WIDTH - NAMES - 80))
        parts.append(f'<text x="{NAMES - 8}" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>')
        parts.append(f'<rect x="{NAMES}" y="{y + 2}" width="{length:.1f}" height="{ROW - 5}" fill="{OURS if OURSELVES in name else OTHERS}"/>')
        parts.append(f'<text x="{NAMES + length + 6:.1f}" y="{y + 13}">{value:.3g}</text>')
    return "\n".join(parts), 26 + len(values) * ROW


def values_of(part, metric, titles):
    """{row: median} of a panel. A metric that was measured for several counts has a row for each of them, by each contestant."""
    values = {}
    for name, medians in part["medians"].items():
        title = titles.get(name, name)
        if medians.get(metric) is not None:
            values[title] = medians[metric]
        for counted, value in medians.items():
            if counted.startswith(f"{metric}-") and value is not None:
                values[f"{counted.removeprefix(f'{metric}-')}: {title}"] = value
    return dict(sorted(values.items(), key=lambda row: int(row[0].partition(":")[0]))) if any(":" in row for row in values) else values


def draw(document, titles):
    """The SVG of all panels that were measured."""
    parts, top = [], 8
    for work, link, metric, heading in PANELS:
        for part in document["works"]:
            if (part["name"], part["link"]) != (work, link):
                continue
            values = values_of(part, metric, titles)
            if values:
                svg, height = panel(heading, values, top)
                parts.append(svg)
                top += height + GAP - 10
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" font-family="sans-serif" font-size="12" fill="{INK}">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n')
