"""The panels of every Grafana dashboard: the one source from which `generate.py` makes the JSON.

Expressions use the variables $namespace and $navit_job; a scraper without Kubernetes has no
namespace label, which the pattern .* matches too.
"""
from panels import Dashboard, Row, heatmap, stat, table, timeseries


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

DASHBOARDS = [
    Dashboard(
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
    ),
    Dashboard(
        "navit-job",
        "navit / 2 Job",
        "One job at a glance.",
        [
            Row("Now"),
            stat("State", '{} == 1'.format(job("navit_job_state")), text="{{state}}"),
            stat("Step", job("navit_step")),
            stat("Progress", job("navit_job_progress_ratio"), unit="percentunit"),
            stat(
                "Time left",
                "(1 - {0}) / clamp_min(deriv({0}[10m]), 1e-12)".format(
                    job("navit_job_progress_ratio")
                ),
                unit="s",
            ),
            stat(
                "Last checkpoint",
                "time() - max by (navit_job) ({})".format(
                    job("navit_checkpoint_last_success_timestamp_seconds")
                ),
                unit="s",
                needs="a checkpoint",
            ),
            stat("World size", "max by (navit_job) ({})".format(job("navit_world_size"))),
            Row("Learning"),
            timeseries("Loss", [(job("navit_loss"), "{{navit_job}}")]),
            timeseries("Gradient norm", [(job("navit_grad_norm"), "{{navit_job}}")]),
            timeseries(
                "Scores",
                [(job("navit_eval_score"), "{{metric}} @{{token_budget}}")],
                needs="an evaluation",
            ),
            Row("Speed"),
            timeseries("Useful tokens", [(USEFUL_TOKENS, "{{navit_job}}")], unit="tokens/s"),
            timeseries("Examples", [(EXAMPLES, "{{navit_job}}")], unit="images/s"),
            timeseries("MFU", [(MFU, "{{navit_job}}")], unit="percentunit"),
            timeseries(
                "Padding and data wait",
                [(PADDING, "padding {{navit_job}}"), (DATA_WAIT, "data wait {{navit_job}}")],
                unit="percentunit",
            ),
        ],
    ),
    Dashboard(
        "navit-packing",
        "navit / 3 Packing",
        "How full the sequences are, and what is in them.",
        [
            Row("Fill"),
            stat("Fill", FILL, unit="percentunit"),
            stat("Planned fill", job("navit_job_planned_fill_ratio"), unit="percentunit"),
            stat(
                "Images per sequence (gain over one padded image a row)",
                ratio(
                    total(job("navit_pack_segments_sum"), "navit_job"),
                    total(job("navit_pack_segments_count"), "navit_job"),
                ),
            ),
            heatmap("Fill of a sequence", "navit_pack_fill_ratio", job, unit="percentunit"),
            timeseries("Padding share", [(PADDING, "{{navit_job}}")], unit="percentunit"),
            timeseries(
                "Tokens by kind",
                [(total(job("navit_pack_tokens_total"), "kind"), "{{kind}}")],
                unit="tokens/s",
                stack=True,
            ),
            Row("What is packed"),
            heatmap("Images per sequence", "navit_pack_segments", job),
            heatmap("Sampled side", "navit_image_resolution_pixels", job, unit="px"),
            heatmap("Aspect ratio, width / height", "navit_image_aspect_ratio", job),
            heatmap("Token drop", "navit_token_drop_ratio", job, unit="percentunit"),
            timeseries(
                "Dropped tokens",
                [(total(job("navit_tokens_dropped_total"), "by"), "{{by}}")],
                unit="tokens/s",
            ),
            timeseries(
                "Attention cost: useful against dense",
                [(total(job("navit_pack_attention_cost_total"), "kind"), "{{kind}}")],
                unit="token²/s",
            ),
            timeseries(
                "Dense attention over useful",
                [
                    (
                        ratio(
                            total(job("navit_pack_attention_cost_total", 'kind="dense"'), "navit_job"),
                            total(
                                job("navit_pack_attention_cost_total", 'kind="useful"'), "navit_job"
                            ),
                        ),
                        "{{navit_job}}",
                    )
                ],
                unit="x",
            ),
        ],
    ),
    Dashboard(
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
    ),
    Dashboard(
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
    ),
    Dashboard(
        "navit-model",
        "navit / 6 Model health",
        "Whether it learns.",
        [
            Row("Signals"),
            timeseries("Loss", [(job("navit_loss"), "{{navit_job}}")]),
            timeseries("Gradient norm", [(job("navit_grad_norm"), "{{navit_job}}")]),
            timeseries("Logit scale", [(job("navit_logit_scale"), "{{navit_job}}")]),
            timeseries("Learning rate", [(job("navit_learning_rate"), "{{navit_job}}")]),
            stat("Parameters", "max by (navit_job) ({})".format(job("navit_model_parameters"))),
            Row("Scores and faults"),
            timeseries(
                "Loss stuck at ln N",
                [("sum by (navit_job) ({})".format(job("navit_loss_stuck_total")), "{{navit_job}}")],
            ),
            timeseries(
                "Scores",
                [(job("navit_eval_score", 'metric!~".*/chance"'), "{{metric}} @{{token_budget}}")],
                needs="an evaluation",
            ),
            timeseries(
                "Steps skipped: not finite",
                [
                    (
                        "sum by (where) (increase({}[$__rate_interval]))".format(
                            job("navit_nonfinite_total")
                        ),
                        "{{where}}",
                    )
                ],
            ),
        ],
    ),
    Dashboard(
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
    ),
    Dashboard(
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
    ),
]
