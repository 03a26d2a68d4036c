"""What a step's time goes to, by phase and by rank."""
from panels import Dashboard, Row, heatmap, timeseries
from queries import job, quantile, ratio, total

DASHBOARD = Dashboard(
    "navit-steps",
    "navit / 5 Step time and stragglers",
    "Where a step's time goes, and which rank the others wait for.",
    [
        Row("Step"),
        timeseries(
            "Step time",
            [
                (quantile(0.5, "navit_step_duration_seconds", "navit_job"), "median {{navit_job}}"),
                (quantile(0.99, "navit_step_duration_seconds", "navit_job"), "p99 {{navit_job}}"),
            ],
            unit="s",
        ),
        timeseries(
            "Phases",
            [
                (
                    ratio(
                        total(job("navit_step_phase_seconds_total"), "phase"),
                        "scalar({})".format(total(job("navit_step_phase_seconds_total"))),
                    ),
                    "{{phase}}",
                )
            ],
            unit="percentunit",
            stack=True,
        ),
        heatmap("Step time", "navit_step_duration_seconds", job, unit="s"),
        Row("Communication"),
        timeseries(
            "Exposed communication",
            [
                (
                    ratio(
                        total(
                            job("navit_step_phase_seconds_total", 'phase="comm_exposed"'),
                            "navit_job",
                        ),
                        total(job("navit_step_phase_seconds_total"), "navit_job"),
                    ),
                    "{{navit_job}}",
                )
            ],
            unit="percentunit",
        ),
        timeseries("Collectives", [(total(job("navit_comm_bytes_total"), "op"), "{{op}}")], unit="Bps"),
        Row("Stragglers"),
        timeseries(
            "Lag by rank",
            [
                (
                    "avg by (navit_job, rank) ({})".format(job("navit_rank_step_lag_seconds")),
                    "{{navit_job}} rank {{rank}}",
                )
            ],
            unit="s",
        ),
        timeseries(
            "Data wait by rank",
            [
                (
                    total(
                        job("navit_step_phase_seconds_total", 'phase="data_wait"'),
                        "navit_job",
                        "rank",
                    ),
                    "{{navit_job}} rank {{rank}}",
                )
            ],
            unit="s/s",
        ),
    ],
)
