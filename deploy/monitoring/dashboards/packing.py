"""What the method lives on: how full the sequences are, and what is in them."""
from panels import Dashboard, Row, heatmap, stat, timeseries
from queries import FILL, PADDING, job, ratio, total

DASHBOARD = Dashboard(
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
)
