"""Results as Markdown."""


class Report:
    """Sections of Markdown, written to the file as they come."""

    def __init__(self, output):
        self.output, self.lines = output, []

    def add(self, *lines):
        self.lines += lines
        print("\n".join(lines), flush=True)
        if self.output:
            self.output.write_text("\n".join(self.lines) + "\n")

    def table(self, head, rows):
        self.add("", "| " + " | ".join(head) + " |", "|" + "---|" * len(head))
        for row in rows:
            self.add("| " + " | ".join(str(cell) for cell in row) + " |")


def verdict(results, reach, aim):
    """The least ratio beside what was wanted."""
    if not results:
        return "no peer ran"
    best = min(results, key=lambda name: results[name][1])
    return f"**{results[best][1]:.2f}** ({best}); wanted {reach}, aim {aim}"


def tuned_row(tuned):
    """Cells of a line of kernels/bench/linear_tune: first and chosen in microseconds, and the gain."""
    first, chosen = tuned["first_seconds"], tuned["chosen_seconds"]
    cells = [tuned["shape"], tuned["candidates"], f"{first * 1e6:.1f}"]
    if chosen is None:
        return [*cells, "–", "–", f"{tuned['flops'] / first / 1e12:.0f}"]
    return [
        *cells,
        f"{chosen * 1e6:.1f}",
        f"{first / chosen:.2f}",
        f"{tuned['flops'] / chosen / 1e12:.0f}",
    ]


def peer_cells(results, names):
    """Milliseconds and the ratio of each, where it ran."""
    cells = {name: f"{s * 1e3:.3f} ({ratio:.2f})" for name, (s, ratio) in results.items()}
    return [cells.get(name, "–") for name in names]
