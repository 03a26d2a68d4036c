"""One job: where it stands, how it learns, how fast."""
from panels import Dashboard, Row, stat, timeseries
from queries import DATA_WAIT, EXAMPLES, MFU, PADDING, USEFUL_TOKENS, job

DASHBOARD = Dashboard(
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
)
