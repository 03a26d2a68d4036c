"""The Grafana dashboards, one a file: the source from which `generate.py` makes the JSON."""
from . import control, data, fleet, job, model, packing, reliability, steps

# In the order of their numbers.
DASHBOARDS = [
    module.DASHBOARD
    for module in (fleet, job, packing, data, steps, model, control, reliability)
]
