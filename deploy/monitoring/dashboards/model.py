"""Whether the model learns."""
from panels import Dashboard, Row, stat, timeseries
from queries import job, rate

DASHBOARD = Dashboard(
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
)
