// A card with a title, the newest value, an SVG that fills the card's width, and hover values.
class Chart {
  constructor(id, title, { height = 210, logarithmic = null } = {}) {
    this.id = id;
    this.height = height;
    this.logarithmic = logarithmic === true;
    this.now = element("span", { class: "now" });
    this.button = logarithmic === null ? null : element("button", {
      type: "button", title: "logarithmic axis", "aria-pressed": String(this.logarithmic) }, "log");
    this.svg = shape("svg", { role: "img", height });
    this.legend = element("div", { class: "legend" });
    this.none = element("p", { class: "none" }, "no data yet");
    this.card = element("div", { class: "card chart", id: "chart-" + id },
      element("header", {}, element("h3", {}, title), this.button, this.now),
      this.svg, this.none, this.legend);
    this.title = title;
    if (this.button) {
      this.button.addEventListener("click", () => {
        this.logarithmic = !this.logarithmic;
        this.button.setAttribute("aria-pressed", String(this.logarithmic));
        this.draw();
      });
    }
    this.svg.addEventListener("pointermove", (event) => this.hover(event));
    this.svg.addEventListener("pointerdown", (event) => this.hover(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.card);
  }

  // `spec.points`: how many data points there are; `spec.paint(frame)` draws them.
  show(spec) {
    this.spec = spec;
    this.draw();
  }

  draw() {
    const spec = this.spec;
    const width = this.svg.clientWidth || this.card.clientWidth - 34;
    const empty = !spec || !spec.points;
    this.none.hidden = !empty;
    this.svg.style.display = empty ? "none" : "";
    this.card.dataset.points = empty ? 0 : spec.points;
    this.now.textContent = spec && spec.now || "";
    put(this.legend, ...((spec && spec.legend) || []));
    if (empty || width < 60) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${spec.now || ""}`);
    const frame = { width, left: 52, right: width - 8, top: 8, bottom: this.height - 36,
                    logarithmic: this.logarithmic, add: (...s) => parts.push(...s) };
    const parts = [];
    const readings = spec.paint(frame);
    this.svg.replaceChildren(...parts);
    this.frame = frame;
    // Where the pointer can be, and what it reads there.
    this.readings = readings || [];
    if (this.pointer) this.mark();
  }

  hover(event) {
    if (!this.readings || !this.readings.length) return;
    const box = this.svg.getBoundingClientRect();
    this.pointer = { x: event.clientX - box.left, clientX: event.clientX, clientY: event.clientY };
    this.mark();
  }

  mark() {
    let best = this.readings[0];
    for (const reading of this.readings) {
      if (Math.abs(reading.x - this.pointer.x) < Math.abs(best.x - this.pointer.x)) best = reading;
    }
    this.svg.querySelectorAll(".mark").forEach((old) => old.remove());
    const { top, bottom } = this.frame;
    this.svg.append(shape("line", { class: "cross mark", x1: best.x, x2: best.x, y1: top, y2: bottom }));
    for (const dot of best.dots || []) {
      this.svg.append(shape("circle", { class: "mark", cx: best.x, cy: dot.y, r: 3.5, fill: dot.colour }));
    }
    const tip = $("tip");
    put(tip, element("b", {}, best.title), ...best.lines.map(([name, value, c]) =>
      element("div", { class: "spread" },
        element("span", {}, c ? element("i", { colour: c }) : null, name), element("b", {}, value))));
    tip.hidden = false;
    const x = Math.min(this.pointer.clientX + 14, innerWidth - tip.offsetWidth - 6);
    const y = Math.min(this.pointer.clientY + 14, innerHeight - tip.offsetHeight - 6);
    tip.style.left = Math.max(6, x) + "px";
    tip.style.top = Math.max(6, y) + "px";
  }

  leave() {
    this.pointer = null;
    $("tip").hidden = true;
    this.svg.querySelectorAll(".mark").forEach((old) => old.remove());
  }
}
