"""Every metric of every process: type and help as the code has them, and the labels.

`generate.py` writes metrics.md of it; a test holds it against the /metrics of a running cluster."""
import pathlib
import re

ROOT = pathlib.Path(__file__).absolute().parents[2]
# Each process counts in one file; the last one is part of all three.
SOURCES = {
    "Coordinator": "server/metrics.cc",
    "Packer": "packer/metrics.cc",
    "Trainer": "worker/metrics.cc",
    "Every process": "common/metrics.cc",
}
JOB = "navit_job"
RANK = "navit_job rank"
# Names that are not here have no label. The label le of histograms is left out.
LABELS = {
    "navit_build_info": "version revision role",
    # coordinator
    "navit_eval_score": JOB + " metric token_budget",
    "navit_grad_norm": JOB,
    "navit_index_bytes": JOB,
    "navit_index_remaining_seconds": JOB,
    "navit_index_shards": JOB + " state",
    "navit_job_planned_fill_ratio": JOB,
    "navit_job_progress_ratio": JOB,
    "navit_job_state": JOB + " state",
    "navit_jobs": "state",
    "navit_jobs_finished_total": "outcome reason",
    "navit_learning_rate": JOB,
    "navit_leases": "state",
    "navit_logit_scale": JOB,
    "navit_loss": JOB,
    "navit_packers_desired": JOB,
    "navit_relay_bytes_total": "direction",
    "navit_relay_packs_total": "outcome",
    "navit_relay_queue_bytes": JOB,
    "navit_relay_queue_cap_bytes": JOB,
    "navit_relay_queue_packs": JOB,
    "navit_rpc_duration_seconds": "method code",
    "navit_rpc_in_flight": "method",
    "navit_stale_writes_rejected_total": "kind",
    "navit_step": JOB,
    "navit_trainers_desired": JOB,
    "navit_workers": "role state",
    "navit_workers_lost_total": "role reason",
    # packer
    "navit_image_aspect_ratio": JOB,
    "navit_image_resolution_pixels": JOB,
    "navit_pack_attention_cost_total": JOB + " kind",
    "navit_pack_capacity_tokens_total": JOB,
    "navit_pack_fill_ratio": JOB,
    "navit_pack_segments": JOB,
    "navit_pack_text_tokens_total": JOB,
    "navit_pack_tokens_total": JOB + " kind",
    "navit_packer_blocked_seconds_total": "cause",
    "navit_packer_stage_seconds_total": JOB + " stage",
    "navit_packs_regenerated_total": JOB,
    "navit_packs_total": JOB,
    "navit_read_bytes_total": JOB,
    "navit_samples_read_total": JOB,
    "navit_samples_skipped_total": JOB + " reason",
    "navit_source_requests_total": "scheme code",
    "navit_source_retries_total": "reason",
    "navit_token_drop_ratio": JOB,
    "navit_tokens_dropped_total": JOB + " by",
    # trainer
    "navit_checkpoint_bytes": RANK,
    "navit_checkpoint_duration_seconds": RANK + " phase",
    "navit_checkpoint_failures_total": RANK + " reason",
    "navit_checkpoint_last_success_timestamp_seconds": RANK,
    "navit_comm_bytes_total": RANK + " op",
    "navit_device_memory_bytes": RANK + " kind",
    "navit_device_peak_flops_per_second": RANK,
    "navit_examples_total": RANK,
    "navit_loss_stuck_total": RANK,
    "navit_model_flops_total": RANK,
    "navit_model_parameters": RANK,
    "navit_nonfinite_total": RANK + " where",
    "navit_rank_step_lag_seconds": RANK,
    "navit_reconfigurations_total": RANK + " reason",
    "navit_step_duration_seconds": RANK,
    "navit_step_phase_seconds_total": RANK + " phase",
    "navit_steps_committed_total": RANK,
    "navit_steps_discarded_total": RANK + " reason",
    "navit_tokens_total": RANK + " tower",
    "navit_trainer_prefetch_bytes": RANK,
    "navit_trainer_prefetch_cap_bytes": RANK,
    "navit_trainer_prefetch_packs": RANK,
    "navit_trainer_recovery_duration_seconds": RANK,
    "navit_trainer_time_seconds_total": "kind",
    "navit_world_size": RANK,
}
# What a job on CPU does not have, or has too late for a test to wait for. Counters are no such thing:
# they start at 0.
RARE = {
    "navit_device_memory_bytes",
    "navit_eval_score",
}
# What a label whose values are fixed in the code can say; a running job shows all of them.
VALUES = {
    ("navit_checkpoint_failures_total", "reason"): "no_space permission refused io",
    ("navit_checkpoint_duration_seconds", "phase"): "copy write commit",
    ("navit_comm_bytes_total", "op"): "all_reduce all_gather reduce_scatter broadcast",
    ("navit_device_memory_bytes", "kind"): "total used arena_reserved arena_used",
    ("navit_index_shards", "state"): "indexed pending",
    ("navit_leases", "state"): "indexing planning window evaluation audit probe",
    ("navit_nonfinite_total", "where"): "gradient",
    ("navit_pack_attention_cost_total", "kind"): "useful dense",
    ("navit_pack_tokens_total", "kind"): "used hole pad",
    ("navit_packer_blocked_seconds_total", "cause"): "downstream source",
    ("navit_packer_stage_seconds_total", "stage"): (
        "read decode resize patchify tokenize plan serialize send"
    ),
    ("navit_reconfigurations_total", "reason"): "stopped cancelled draining broken",
    ("navit_relay_bytes_total", "direction"): "in out",
    ("navit_relay_packs_total", "outcome"): "received duplicate evicted hedged direct",
    ("navit_samples_skipped_total", "reason"): (
        "decode_error unsupported_format bad_header too_large no_image no_caption no_label other"
    ),
    ("navit_stale_writes_rejected_total", "kind"): "lease generation incarnation store",
    ("navit_step_phase_seconds_total", "phase"): (
        "data_wait copy forward loss backward comm_exposed optimizer checkpoint other"
    ),
    ("navit_steps_discarded_total", "reason"): "cancelled broken",
    ("navit_tokens_dropped_total", "by"): "token_drop",
    ("navit_tokens_total", "tower"): "image text",
    ("navit_trainer_time_seconds_total", "kind"): "useful data_wait recovery checkpoint idle",
    ("navit_workers", "role"): "packer trainer",
    ("navit_workers", "state"): "idle busy draining lost",
    ("navit_workers_lost_total", "reason"): "heartbeat replaced join",
}

_DECLARATION = re.compile(
    r"(?:Build(Counter|Gauge|Histogram)\(\)\s*\.Name\(|\b(Counter|Gauge|Histogram)\((?:r,)?\s*"
    r'|\bFamily\(\s*)"((?:navit|process)_[a-z0-9_]+)"\)?,?\s*(?:\.Help\()?\s*'
    r'((?:"[^"]*"\s*)+)(?:,\s*MetricType::(\w+))?'
)


def declared():
    """{process: {name: (type, help)}} as the sources say."""
    found = {}
    for process, source in SOURCES.items():
        found[process] = {
            name: ((builder or method or kind).lower(), "".join(re.findall(r'"([^"]*)"', text)))
            for builder, method, name, text, kind in _DECLARATION.findall(
                (ROOT / source).read_text()
            )
        }
    return found


def labels(name):
    return set(LABELS.get(name, "").split())


def values(name):
    """{label: its values} of the labels of a metric whose values are fixed."""
    return {label: set(text.split()) for (metric, label), text in VALUES.items() if metric == name}


def _shown(name, label):
    """A label as metrics.md has it: with its values, where they are fixed."""
    fixed = VALUES.get((name, label))
    return label + (" (" + fixed.replace(" ", ", ") + ")" if fixed else "")


def markdown():
    lines = [
        "# Metrics",
        "",
        "Generated by generate.py. Every process serves them on `/metrics` of its HTTP port. Series of a",
        "finished job go away 15 minutes after its end; counters start at 0 with the process.",
    ]
    for process, metrics in declared().items():
        lines += ["", "## " + process, "", "| name | type | labels | meaning |", "|---|---|---|---|"]
        for name, (kind, text) in sorted(metrics.items()):
            shown = ", ".join(_shown(name, label) for label in LABELS.get(name, "").split())
            lines.append("| {} | {} | {} | {} |".format(name, kind, shown, text.replace("|", "\\|")))
    return "\n".join(lines) + "\n"
