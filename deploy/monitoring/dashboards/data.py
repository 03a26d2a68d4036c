"""The way from shards to trainers."""
from panels import Dashboard, Row, timeseries
from queries import by_job, fleet, fleet_quantile, job, ratio, total

# Queues that are bounded in bytes: name, what is held, and the most that may be; of all packers
# together, and of each job.
PACKER_QUEUES = [
    (
        name,
        "sum({})".format(fleet("navit_packer_{}_bytes".format(queue))),
        "sum({})".format(fleet("navit_packer_{}_cap_bytes".format(queue))),
    )
    for name, queue in (
        ("read ahead", "read_ahead"),
        ("made", "made"),
        ("kept for trainers", "kept"),
    )
]
JOB_QUEUES = [
    (
        "{} {{{{navit_job}}}}".format(name),
        by_job(job("navit_{}_bytes".format(queue))),
        by_job(job("navit_{}_cap_bytes".format(queue))),
    )
    for name, queue in (("relay", "relay_queue"), ("trainers' input", "trainer_prefetch"))
]


def held_and_caps(queues):
    for name, held, cap in queues:
        yield held, name
        yield cap, name + ": cap"


DASHBOARD = Dashboard(
    "navit-data",
    "navit / 4 Data pipeline",
    "From shards to packs: rates, where the packers' time goes, what they wait for.",
    [
        Row("Rates"),
        timeseries(
            "Samples read", [(total(job("navit_samples_read_total"), "navit_job"), "{{navit_job}}")], unit="images/s"
        ),
        timeseries("Bytes read", [(total(job("navit_read_bytes_total"), "navit_job"), "{{navit_job}}")], unit="Bps"),
        timeseries("Packs made", [(total(job("navit_packs_total"), "navit_job"), "{{navit_job}}")], unit="packs/s"),
        timeseries(
            "Skipped samples",
            [(total(job("navit_samples_skipped_total"), "reason"), "{{reason}}")],
            unit="images/s",
        ),
        timeseries(
            "Shards to index",
            [(job("navit_index_shards", 'state="pending"'), "{{navit_job}}")],
        ),
        timeseries(
            "Indexing ends in",
            [(job("navit_index_remaining_seconds"), "{{navit_job}}")],
            unit="s",
        ),
        Row("Time"),
        timeseries(
            "Stage seconds",
            [(total(job("navit_packer_stage_seconds_total"), "stage"), "{{stage}}")],
            unit="s/s",
            stack=True,
        ),
        timeseries(
            "Blocked",
            [(total(fleet("navit_packer_blocked_seconds_total"), "cause"), "{{cause}}")],
            unit="s/s",
        ),
        timeseries(
            "Threads", [("sum({})".format(fleet("navit_packer_threads")), "threads")]
        ),
        Row("Queues and sources"),
        timeseries(
            "Queues against caps",
            [(ratio(held, cap), name) for name, held, cap in PACKER_QUEUES + JOB_QUEUES],
            unit="percentunit",
        ),
        timeseries("Relay and trainers: held and cap", list(held_and_caps(JOB_QUEUES)), unit="bytes"),
        timeseries("Packers: held and caps", list(held_and_caps(PACKER_QUEUES)), unit="bytes"),
        timeseries(
            "Packs in the relay and at the trainers",
            [
                (by_job(job("navit_relay_queue_packs")), "relay {{navit_job}}"),
                (by_job(job("navit_trainer_prefetch_packs")), "trainers {{navit_job}}"),
            ],
        ),
        timeseries(
            "Packers: there and desired",
            [
                (
                    "sum({})".format(
                        fleet("navit_workers", 'role="packer"', 'state=~"idle|busy"')
                    ),
                    "there",
                ),
                ("sum({})".format(fleet("navit_packers_desired")), "desired"),
            ],
        ),
        timeseries(
            "Packs made again",
            [(total(job("navit_packs_regenerated_total"), "navit_job"), "{{navit_job}}")],
            unit="packs/s",
        ),
        timeseries(
            "Requests to sources",
            [(total(fleet("navit_source_requests_total"), "scheme", "code"), "{{scheme}} {{code}}")],
            unit="requests/s",
        ),
        timeseries(
            "Time of a request",
            [
                (fleet_quantile(0.5, "navit_source_request_duration_seconds"), "median"),
                (fleet_quantile(0.99, "navit_source_request_duration_seconds"), "p99"),
            ],
            unit="s",
        ),
        timeseries(
            "Read retries",
            [(total(fleet("navit_source_retries_total"), "reason"), "{{reason}}")],
        ),
    ],
)
