#!/usr/bin/env python3
"""Makes of bench.json what people read: tables in Markdown, a chart in SVG, the section of README.md.

    report.py build/bench.json                       writes bench.md and bench.svg beside it
    report.py build/bench.json --readme README.md    and the text between the two marks of README.md
"""

import argparse
import json
import pathlib
import re
import sys

import chart

MARKS = ("<!-- benchmarks: begin -->", "<!-- benchmarks: end -->")


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def state(verdict):
    """One word for a verdict."""
    if verdict["ratio"] is None:
        return "not measured"
    if not verdict["judged"]:
        return "reported"
    return "met" if verdict["met"] else "NOT MET"


def verdict_line(verdict):
    against = f", against {verdict['against']}" if verdict["against"] else ""
    note = f" ({verdict['note']})" if verdict["note"] else ""
    return f"  {state(verdict)}: {verdict['what']}: {number(verdict['ratio'])}, wanted {verdict['wanted'] or 'nothing'}{against}{note}"


def verdicts_table(document):
    lines = ["| work | link | bar | measured | pairs | |", "|---|---|---:|---:|---:|---|"]
    for work in document["works"]:
        for verdict in work["verdicts"]:
            note = verdict["note"]
            lines.append(f"| {verdict['what']} | {work['link_title']} | {verdict['wanted'] or '-'} | {number(verdict['ratio'])} | {verdict['pairs']} | "
                         f"{state(verdict)}{': ' + note if note else ''} |")
    return "\n".join(lines)


def work_table(work, titles):
    """The medians of one work: a row per contestant."""
    metrics = work["metrics"]
    lines = ["| | " + " | ".join(f"{what}, {unit}" for what, unit, _ in metrics.values()) + " |", "|---|" + "---:|" * len(metrics)]
    for name, medians in work["medians"].items():
        cells = [number(medians.get(metric)) for metric in metrics]
        failed = f" (failed {len(work['failures'][name])} times)" if name in work["failures"] else ""
        lines.append(f"| {titles.get(name, name)}{failed} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def titles_of(document):
    return document.get("titles", {})


def markdown(document):
    """All tables."""
    kind = "one quick round, for development: no figures to quote" if document["quick"] else "medians of interleaved rounds"
    parts = [f"{kind}; {document['machine']}; {document['begun'][:10]}; load {document['load']:.1f} at the start.", verdicts_table(document)]
    for work in document["works"]:
        parts.append(f"{work['title'][0].upper()}{work['title'][1:]}; {work['link_title']}:")
        parts.append(work_table(work, titles_of(document)))
    if document["missing"]:
        parts.append("Not compared: " + "; ".join(f"{name} ({why})" for name, why in document["missing"].items()) + ".")
    return "\n\n".join(parts)


def judged(document):
    return [verdict for work in document["works"] for verdict in work["verdicts"] if verdict["judged"]]


def good(document):
    return all(verdict["met"] for verdict in judged(document))


def sum_line(document):
    """In the form that tests/run.sh reads."""
    met = sum(verdict["met"] for verdict in judged(document))
    return f"{met} passed, {len(judged(document)) - met} failed, {len(document['missing'])} skipped"


def write(path):
    """bench.md and bench.svg beside bench.json."""
    document = json.loads(path.read_text())
    path.with_suffix(".md").write_text(markdown(document) + "\n")
    path.with_suffix(".svg").write_text(chart.draw(document, titles_of(document)))
    return document


def rewrite(readme, document):
    """Puts the tables between the marks of README.md. Figures of a quick run are refused."""
    assert not document["quick"], "figures of a quick run are not to be quoted"
    text = readme.read_text()
    begin, end = MARKS
    assert text.count(begin) == text.count(end) == 1, f"{readme} must have {begin} and {end} once each"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    readme.write_text(found.sub(lambda _: f"{begin}\n{markdown(document)}\n{end}", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", type=pathlib.Path)
    parser.add_argument("--readme", type=pathlib.Path)
    options = parser.parse_args()
    document = write(options.json)
    if options.readme:
        rewrite(options.readme, document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
