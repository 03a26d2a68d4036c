"""Building blocks of a Grafana dashboard (schema 38, Grafana 10 and later).

A panel is described by what it shows; `Dashboard.to_grafana` lays panels out on the grid of 24
columns and adds the variables. `needs` says in words what must have happened for a panel to show
anything; a panel without it must have data on any running job, and a test holds it to that.
"""
import dataclasses
from typing import Callable, List, Optional, Tuple, Union

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Units that Grafana does not know are written behind the number.
GRAFANA_UNITS = {"s", "bytes", "Bps", "percentunit"}


@dataclasses.dataclass
class Row:
    title: str


@dataclasses.dataclass
class Panel:
    kind: str
    title: str
    # (expression, legend)
    targets: List[Tuple[str, str]]
    unit: str = ""
    stack: bool = False
    needs: Optional[str] = None
    width: int = 8
    height: int = 8
    # A stat that shows what its legend says instead of the number.
    label_only: bool = False

    def to_grafana(self, number, x, y):
        unit = self.unit if self.unit in GRAFANA_UNITS else ("suffix: " + self.unit if self.unit else "short")
        panel = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [
                {
                    "refId": chr(ord("A") + i),
                    "datasource": DATASOURCE,
                    "expr": expression,
                    "legendFormat": legend,
                    "format": {"heatmap": "heatmap", "table": "table"}.get(self.kind, "time_series"),
                    "instant": self.kind in ("table", "stat"),
                    "range": self.kind not in ("table", "stat"),
                }
                for i, (expression, legend) in enumerate(self.targets)
            ],
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "options": {},
        }
        if self.needs:
            panel["description"] = "Empty without " + self.needs + "."
        if self.kind == "timeseries":
            panel["fieldConfig"]["defaults"]["custom"] = {
                "fillOpacity": 30 if self.stack else 0,
                "lineWidth": 1,
                "stacking": {"mode": "normal" if self.stack else "none"},
            }
            panel["options"] = {
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi"},
            }
        elif self.kind == "stat":
            panel["options"] = {
                "reduceOptions": {"calcs": ["lastNotNull"]},
                # auto: the number, and beside it the job where there are several.
                "textMode": "name" if self.label_only else "auto",
                "graphMode": "none",
            }
        elif self.kind == "heatmap":
            panel["options"] = {
                "calculate": False,
                "yAxis": {"unit": unit},
                "color": {"mode": "scheme", "scheme": "Viridis", "steps": 64},
                "cellGap": 1,
            }
        elif self.kind == "table":
            panel["transformations"] = [
                {"id": "organize", "options": {"excludeByName": {"Time": True}}}
            ]
        return panel


def timeseries(title, targets, unit="", stack=False, needs=None):
    return Panel("timeseries", title, targets, unit, stack, needs)


def stat(title, expression, unit="", text="", needs=None):
    """One number, or with `text` the label that it names."""
    legend = text or "{{navit_job}}"
    return Panel(
        "stat", title, [(expression, legend)], unit, needs=needs, width=4, height=4, label_only=bool(text)
    )


def table(title, expression):
    return Panel("table", title, [(expression, "")])


def heatmap(title, histogram, select: Callable[[str], str], unit="", needs=None):
    """How the observations of a histogram spread over its buckets, over time."""
    expression = "sum by (le) (increase({}[$__rate_interval]))".format(select(histogram + "_bucket"))
    return Panel("heatmap", title, [(expression, "{{le}}")], unit, needs=needs)


@dataclasses.dataclass
class Dashboard:
    uid: str
    title: str
    description: str
    items: List[Union[Row, Panel]]

    def panels(self):
        return [item for item in self.items if isinstance(item, Panel)]

    def to_grafana(self):
        panels = []
        x = y = line_height = 0
        for item in self.items:
            wide = isinstance(item, Row)
            width = 24 if wide else item.width
            if wide or x + width > 24:
                x, y, line_height = 0, y + line_height, 0
            number = len(panels) + 1
            if wide:
                panels.append(
                    {
                        "id": number,
                        "type": "row",
                        "title": item.title,
                        "collapsed": False,
                        "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
                        "panels": [],
                    }
                )
                y += 1
            else:
                panels.append(item.to_grafana(number, x, y))
                x += width
                line_height = max(line_height, item.height)
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["navit"],
            "schemaVersion": 38,
            "editable": True,
            "timezone": "browser",
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": VARIABLES},
            "links": [
                {
                    "type": "dashboards",
                    "tags": ["navit"],
                    "title": "navit",
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "panels": panels,
        }


def _choice(name, query):
    return {
        "name": name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


VARIABLES = [
    {"name": "datasource", "type": "datasource", "query": "prometheus"},
    _choice("namespace", "label_values(navit_build_info, namespace)"),
    _choice("navit_job", 'label_values(navit_step{namespace=~"$namespace"}, navit_job)'),
]
