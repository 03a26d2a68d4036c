"""What broke and what it cost."""
from panels import Dashboard, Row, timeseries
from queries import fleet, job, quantile

DASHBOARD = Dashboard(
    "navit-reliability",
    "navit / 8 Reliability",
    "What broke, what it cost, and whether the checkpoints are there.",
    [
        Row("Recoveries"),
        timeseries(
            "Generations that ended",
            [
                (
                    "sum by (navit_job, reason) (increase({}[$__rate_interval]))".format(
                        job("navit_reconfigurations_total")
                    ),
                    "{{navit_job}}: {{reason}}",
                )
            ],
        ),
        timeseries(
            "Steps discarded",
            [
                (
                    "sum by (navit_job, reason) (increase({}[$__rate_interval]))".format(
                        job("navit_steps_discarded_total")
                    ),
                    "{{navit_job}}: {{reason}}",
                )
            ],
        ),
        timeseries(
            "Recovery time, p90",
            [(quantile(0.9, "navit_trainer_recovery_duration_seconds", "navit_job"), "{{navit_job}}")],
            unit="s",
            needs="a generation that started within the interval",
        ),
        timeseries(
            "Coordinator's last start",
            [(fleet("navit_coordinator_recovery_duration_seconds"), "seconds")],
            unit="s",
        ),
        Row("Checkpoints"),
        timeseries(
            "Age of the last checkpoint",
            [
                (
                    "time() - max by (navit_job) ({})".format(
                        job("navit_checkpoint_last_success_timestamp_seconds")
                    ),
                    "{{navit_job}}",
                )
            ],
            unit="s",
            needs="a checkpoint",
        ),
        timeseries(
            "Time of a checkpoint, p90",
            [
                (
                    quantile(0.9, "navit_checkpoint_duration_seconds", "navit_job", "phase"),
                    "{{navit_job}} {{phase}}",
                )
            ],
            unit="s",
            needs="a checkpoint within the interval",
        ),
        timeseries(
            "Checkpoints that failed",
            [
                (
                    "sum by (navit_job, reason) (increase({}[$__rate_interval]))".format(
                        job("navit_checkpoint_failures_total")
                    ),
                    "{{navit_job}}: {{reason}}",
                )
            ],
        ),
        timeseries(
            "Size of a checkpoint",
            [("max by (navit_job) ({})".format(job("navit_checkpoint_bytes")), "{{navit_job}}")],
            unit="bytes",
            needs="a checkpoint",
        ),
    ],
)
