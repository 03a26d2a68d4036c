"""What dashboards ask Prometheus for.

Expressions use the variables $namespace and $navit_job; a scraper without Kubernetes has no
namespace label, which the pattern .* matches too.
"""


def fleet(metric, *matchers):
    """`metric` of every process, whatever its job."""
    return metric + "{" + ",".join(('namespace=~"$namespace"',) + matchers) + "}"


def job(metric, *matchers):
    """`metric` of the chosen jobs."""
    return fleet(metric, 'navit_job=~"$navit_job"', *matchers)


def rate(selector):
    return "rate({}[$__rate_interval])".format(selector)


def total(selector, *by):
    """Sum of the rates of a counter."""
    return "sum {}({})".format("by ({}) ".format(", ".join(by)) if by else "", rate(selector))


def ratio(numerator, denominator):
    return "{} / {}".format(numerator, denominator)


def quantile(q, metric, *by):
    """Quantile of a histogram over the rate interval."""
    return "histogram_quantile({}, {})".format(q, total(job(metric + "_bucket"), "le", *by))


def fleet_quantile(q, metric, *by):
    return "histogram_quantile({}, {})".format(q, total(fleet(metric + "_bucket"), "le", *by))


def by_job(expression):
    return "sum by (navit_job) ({})".format(expression)


FILL = ratio(
    total(job("navit_pack_tokens_total", 'kind="used"'), "navit_job"),
    total(job("navit_pack_capacity_tokens_total"), "navit_job"),
)
PADDING = ratio(
    total(job("navit_pack_tokens_total", 'kind="pad"'), "navit_job"),
    total(job("navit_pack_capacity_tokens_total"), "navit_job"),
)
USEFUL_TOKENS = total(job("navit_tokens_total"), "navit_job")
EXAMPLES = total(job("navit_examples_total"), "navit_job")
MFU = ratio(
    total(job("navit_model_flops_total"), "navit_job"),
    "sum by (navit_job) ({})".format(job("navit_device_peak_flops_per_second")),
)
DATA_WAIT = ratio(
    total(job("navit_step_phase_seconds_total", 'phase="data_wait"'), "navit_job"),
    total(job("navit_step_phase_seconds_total"), "navit_job"),
)
