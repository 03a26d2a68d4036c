"""Jobs, workers and goodput of the whole fleet."""
from panels import Dashboard, Row, table, timeseries
from queries import MFU, USEFUL_TOKENS, fleet, fleet_quantile, job, ratio, total

DASHBOARD = Dashboard(
    "navit-fleet",
    "navit / 1 Fleet",
    "Jobs, workers and what the trainers' time goes to.",
    [
        Row("Jobs"),
        timeseries(
            "Jobs by state",
            [("sum by (state) ({})".format(fleet("navit_jobs")), "{{state}}")],
            stack=True,
        ),
        timeseries(
            "Jobs that ended",
            [
                (
                    "sum by (outcome, reason) (increase({}[$__rate_interval])) > 0".format(
                        fleet("navit_jobs_finished_total")
                    ),
                    "{{outcome}}: {{reason}}",
                )
            ],
            needs="a job that ended within the interval",
        ),
        timeseries(
            "Queue wait",
            [
                (fleet_quantile(0.5, "navit_job_queue_wait_duration_seconds"), "median"),
                (fleet_quantile(0.9, "navit_job_queue_wait_duration_seconds"), "p90"),
            ],
            unit="s",
            needs="a job that started within the interval",
        ),
        timeseries(
            "Time to first step",
            [
                (fleet_quantile(0.5, "navit_job_time_to_first_step_duration_seconds"), "median"),
                (fleet_quantile(0.9, "navit_job_time_to_first_step_duration_seconds"), "p90"),
            ],
            unit="s",
            needs="a job that started within the interval",
        ),
        Row("Workers"),
        timeseries(
            "Workers",
            [("sum by (role, state) ({})".format(fleet("navit_workers")), "{{role}} {{state}}")],
            stack=True,
        ),
        timeseries(
            "Workers lost",
            [
                (
                    "sum by (role, reason) (increase({}[$__rate_interval]))".format(
                        fleet("navit_workers_lost_total")
                    ),
                    "{{role}}: {{reason}}",
                )
            ],
        ),
        table("Versions", "sum by (role, version, revision) ({})".format(fleet("navit_build_info"))),
        Row("Goodput"),
        timeseries(
            "Trainers' time",
            [
                (
                    ratio(
                        total(fleet("navit_trainer_time_seconds_total"), "kind"),
                        "scalar({})".format(total(fleet("navit_trainer_time_seconds_total"))),
                    ),
                    "{{kind}}",
                )
            ],
            unit="percentunit",
            stack=True,
        ),
        timeseries("Useful tokens", [(USEFUL_TOKENS, "{{navit_job}}")], unit="tokens/s"),
        timeseries("MFU", [(MFU, "{{navit_job}}")], unit="percentunit"),
    ],
)
