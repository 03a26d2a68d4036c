"""The coordinator."""
from panels import Dashboard, Row, stat, timeseries
from queries import fleet, fleet_quantile, total

DASHBOARD = Dashboard(
    "navit-control",
    "navit / 7 Control plane",
    "The coordinator: calls, store, leases.",
    [
        Row("Calls"),
        timeseries("Calls", [(total(fleet("navit_rpc_duration_seconds_count"), "method"), "{{method}}")], unit="calls/s"),
        timeseries(
            "Calls that failed",
            [
                (
                    total(
                        fleet("navit_rpc_duration_seconds_count", 'code!~"OK|CANCELLED"'),
                        "method",
                        "code",
                    ),
                    "{{method}} {{code}}",
                )
            ],
            unit="calls/s",
            needs="a call that failed",
        ),
        timeseries(
            "p99 of unary calls",
            [
                (
                    "histogram_quantile(0.99, {})".format(
                        total(
                            fleet(
                                "navit_rpc_duration_seconds_bucket",
                                'method!~"Heartbeat|Push|Pull|Watch|PullEvaluation|LeaseWork|Logs"',
                            ),
                            "le",
                            "method",
                        )
                    ),
                    "{{method}}",
                )
            ],
            unit="s",
        ),
        timeseries("Calls in flight", [("sum by (method) ({})".format(fleet("navit_rpc_in_flight")), "{{method}}")]),
        Row("State"),
        timeseries(
            "Store commits",
            [
                (fleet_quantile(0.5, "navit_store_commit_duration_seconds"), "median"),
                (fleet_quantile(0.99, "navit_store_commit_duration_seconds"), "p99"),
            ],
            unit="s",
        ),
        timeseries("Leases", [("sum by (state) ({})".format(fleet("navit_leases")), "{{state}}")], stack=True),
        timeseries("Leases expired", [(total(fleet("navit_leases_expired_total")), "expired")], unit="leases/s"),
        timeseries(
            "Stale writes refused",
            [(total(fleet("navit_stale_writes_rejected_total"), "kind"), "{{kind}}")],
            unit="writes/s",
        ),
        timeseries("Relay", [(total(fleet("navit_relay_bytes_total"), "direction"), "{{direction}}")], unit="Bps"),
        timeseries(
            "Log lines dropped",
            [(total(fleet("navit_log_lines_dropped_total"), "instance"), "{{instance}}")],
            unit="lines/s",
        ),
        stat("Leader", "sum({})".format(fleet("navit_is_leader"))),
        timeseries(
            "Changes of leader, by the coordinator that saw them",
            [("increase({}[$__rate_interval])".format(fleet("navit_leader_transitions_total")), "{{instance}}")],
        ),
    ],
)
