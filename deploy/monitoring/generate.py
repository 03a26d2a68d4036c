#!/usr/bin/env python3
"""Writes the dashboards of `dashboards.py` as Grafana JSON.

    deploy/monitoring/generate.py            rewrites grafana/dashboards/*.json
    deploy/monitoring/generate.py --check    exit 1 when a file differs from what would be written
"""
import json
import pathlib
import sys

from dashboards import DASHBOARDS

FOLDER = pathlib.Path(__file__).resolve().parent / "grafana" / "dashboards"


def files():
    """{file name: text} of every dashboard."""
    return {
        dashboard.uid + ".json": json.dumps(dashboard.to_grafana(), indent=1, ensure_ascii=False) + "\n"
        for dashboard in DASHBOARDS
    }


def main():
    wanted = files()
    if sys.argv[1:] == ["--check"]:
        there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
        different = sorted(
            name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
        )
        for name in different:
            print("generate.py: {} is not what dashboards.py says".format(name), file=sys.stderr)
        sys.exit(1 if different else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
