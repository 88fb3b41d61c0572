// The view of a sweep: what is chosen, by which control, and all that follows it.

// The first and the last number of rows, as a sentence.
function fromTo(rows, name, unit = "") {
  const known = rows.filter((r) => r.value !== null);
  if (!known.length) return "no number.";
  const ends = known.length > 1 ? [known[0], known[known.length - 1]] : known;
  const told = ends.map((r) => `${number(r.value, 3)} [${number(r.low, 3)}, ${number(r.high, 3)}] at ${name ? `${name} = ` : ""}${typeof r.x === "number" ? number(r.x, 4) : r.x}`);
  return `${told.join(", ")}${unit ? ` ${unit}` : ""}.`;
}

class SweepView {
  constructor(host, data) {
    this.sweep = new Sweep(data);
    const dims = data.dims;
    this.point = this.firstPoint();
    this.codes = this.sweep.codes(this.point);
    const wanted = data.quantities.findIndex((each) => each.name === "persistence_violation");
    this.q = Math.max(0, wanted);
    this.s = 0;
    const order = [...dims.keys()];
    // Few values of many points stand in stripes.
    if (!data.grid) order.sort((a, b) => dims[b].values.length - dims[a].values.length);
    [this.x, this.y] = [order[0] ?? 0, order[1] ?? 0];
    this.fromHash();
    this.host = host;
    if (!data.series.length) {
      host.append(h("p", { class: "warning" }, "No point of this sweep is done: there is nothing to draw. The errors are in the table of failed points."));
      return;
    }
    if (this.s === 0 && !location.hash) this.s = this.middle();
    this.controls = h("div", { class: "controls", role: "group", "aria-label": "What is shown" });
    host.append(this.controls);
    this.controlsOf();
    const top = h("div", { class: "two" });
    host.append(top);
    if (dims.length > 1) this.map = new MapChart(top, this);
    this.panel = h("section", { class: "panel", "aria-label": "Numbers of one point" });
    const low = h("div", { class: "two" });
    if (dims.length) this.line = new LineChart(dims.length > 1 ? low : top, this.lineOf());
    top.append(this.panel);
    host.append(low);
    this.curves = data.specs.curves.map((about) => [about, new LineChart(low, this.curveOf(about))]);
    this.update();
  }
  // The middle of the design, where there is most to see; a finished point if any.
  firstPoint() {
    const { data, sizes, count } = this.sweep;
    const middle = data.grid ? this.sweep.at(sizes.map((n) => n >> 1)) : count >> 1;
    return middle >= 0 && !data.failed[middle] ? middle : Math.max(0, data.failed.indexOf(0));
  }
  get series() { return this.sweep.byQuantity[this.q]?.[this.s]; }
  // A curve's middle: its first number is mostly near 1, its last mostly unseen.
  middle() {
    const list = this.sweep.byQuantity[this.q];
    const six = list.findIndex((s) => s.at === 6);
    return six >= 0 ? six : Math.floor((list.length - 1) / 4);
  }
  controlsOf() {
    const { data } = this.sweep, dims = data.dims;
    const pick = (label, texts, chosen, change) => {
      const select = h("select", { onchange: () => change(Number(select.value)) },
        ...texts.map((text, i) => h("option", { value: i, selected: i === chosen ? "" : undefined }, text)));
      return h("label", {}, label, select);
    };
    const quantity = data.quantities[this.q];
    const parts = [pick("Quantity", data.quantities.map((q) => q.label), this.q, (q) => {
      this.q = q; this.s = this.middle(); this.controlsOf(); this.focus("Quantity"); this.update();
    })];
    const list = this.sweep.byQuantity[this.q];
    if (list.length > 1) parts.push(pick(`At (${quantity.at_unit})`, list.map((s) => s.at_text), this.s, (s) => { this.s = s; this.update(); }));
    if (dims.length > 2) {
      const swap = (mine, other, label) => (d) => {
        if (d === this[other]) this[other] = this[mine];
        this[mine] = d; this.controlsOf(); this.focus(label); this.update();
      };
      parts.push(pick("Horizontal axis", dims.map((d) => d.label), this.x, swap("x", "y", "Horizontal axis")),
        pick("Vertical axis", dims.map((d) => d.label), this.y, swap("y", "x", "Vertical axis")));
    } else if (dims.length === 2) {
      parts.push(h("label", {}, "Axes", h("button", { type: "button", onclick: () => {
        [this.x, this.y] = [this.y, this.x]; this.update();
      } }, "Swap the axes")));
    }
    this.sliders = [];
    if (data.grid) dims.forEach((dim, d) => {
      const value = h("output");
      const slider = h("input", { type: "range", min: 0, max: dim.values.length - 1, step: 1, "aria-label": dim.label,
        oninput: () => this.setCode(d, Number(slider.value)) });
      this.sliders[d] = [slider, value];
      parts.push(h("label", {}, h("span", {}, `${dim.label}: `, value), slider));
    });
    this.controls.replaceChildren(...parts);
  }
  focus(label) {
    for (const each of this.controls.querySelectorAll("label")) if (each.firstChild.textContent === label) each.querySelector("select")?.focus();
  }
  setCode(d, code) { this.codes[d] = code; this.point = this.sweep.at(this.codes); this.update(); }
  select(point) { this.point = point; this.codes = this.sweep.codes(point); this.update(); }
  order(d) {
    const dim = this.sweep.data.dims[d];
    return [...dim.codes.keys()].sort((a, b) => dim.codes[a] - dim.codes[b] || a - b);
  }
  update() {
    if (this.waiting) return;
    // A dragged slider asks more often than the screen is drawn.
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.sliders.forEach((pair, d) => {
        const dim = this.sweep.data.dims[d], text = dim.texts[this.codes[d]] + dim.more[this.codes[d]];
        pair[0].value = this.codes[d];
        pair[0].setAttribute("aria-valuetext", text);
        pair[1].textContent = text;
      });
      this.map?.draw();
      this.line?.set(this.lineOf());
      for (const [about, chart] of this.curves) chart.set(this.curveOf(about));
      this.preview(this.point);
      this.toHash();
    });
  }
  // A series along the horizontal dimension: at the sliders, or over all points.
  lineOf() {
    const { sweep, x, codes, series } = this, { data } = sweep, dim = data.dims[x], points = [];
    if (data.grid) for (let code = 0; code < dim.values.length; code++) {
      const point = sweep.at(codes.map((c, d) => (d === x ? code : c)));
      if (point >= 0) points.push(point);
    } else points.push(...this.order(x));
    const kind = data.grid ? "band" : "dots", name = data.grid ? "at the sliders" : "all points";
    const rows = points.map((point) => sweep.row(series, point, { series: name, kind, x: sweep.place(dim, dim.codes[point]) }));
    const spec = copy(data.specs.slice[series.scale]);
    for (const { encoding } of spec.layer) {
      if (encoding.x) encoding.x = dim.channels.line;
      if (encoding.y) encoding.y.axis.title = data.quantities[series.q].unit || "value";
    }
    const others = data.dims.filter((_, d) => d !== x).map((d) => `${short(d)} = ${d.texts[d.codes[this.point]] ?? "—"}`);
    const failed = rows.filter((r) => r.state === "failed").length;
    return {
      title: `${series.title} against ${short(dim)}`,
      says: `${data.grid && others.length ? `At ${others.join(", ")}: ` : ""}${fromTo(rows, short(dim))}`,
      note: `${data.grid ? "Band: 95 % interval." : "All points; bars: 95 % interval."}${failed ? ` ${failed} failed and have no number here (see the table).` : ""}`,
      x: dim.label, spec, rows, cursor: sweep.place(dim, this.point >= 0 ? dim.codes[this.point] : codes[x]),
    };
  }
  // The quantities of one unit that are a curve, of the selected point.
  curveOf(about) {
    const { sweep, point } = this, { data } = sweep, rows = [];
    for (const q of about.quantities) for (const s of sweep.byQuantity[q]) {
      const found = s.at === null || point < 0 ? null : sweep.get(s, point);
      if (found) rows.push({ ...found, series: data.quantities[q].label, kind: "estimate", x: s.at });
    }
    const first = data.quantities[about.quantities[0]].label;
    const state = point < 0 ? "Not in the design." : data.failed[point] ? `This point failed: ${sweep.error(point)}`
      : `${first}: ${fromTo(rows.filter((r) => r.series === first), "", about.at_unit)}`;
    return { title: about.title, says: state, x: about.x, spec: about.spec, rows,
      note: "Bars: 95 % interval. ▽ or △: none or all seen, the limit is the interval's other end." };
  }
  // Every number of a point, under the headings of their methods.
  preview(point) {
    if (this.previewed === point && this.shownFor === this.point) return;
    this.previewed = point;
    this.shownFor = this.point;
    const { sweep } = this, { data } = sweep;
    const head = h("h3", {}, point === this.point ? "The selected point" : "Under the pointer");
    if (point < 0) { this.panel.replaceChildren(head, h("p", {}, "The design has no such point.")); return; }
    const about = h("p", {}, sweep.name(point) || "the only point", h("br"), h("span", { class: "note" }, `point ${data.ids[point]}`));
    if (data.failed[point]) {
      this.panel.replaceChildren(head, about, h("p", { class: "failure" }, `This point failed: ${sweep.error(point)}`));
      return;
    }
    const rows = [];
    data.quantities.forEach((quantity, q) => {
      let method = null;
      for (const s of sweep.byQuantity[q]) {
        const found = sweep.get(s, point);
        if (!found) continue;
        if (found.method !== method) {
          const unit = quantity.unit ? ` (${quantity.unit})` : "";
          rows.push(h("tr", { class: "group" }, h("th", { colspan: 4, scope: "rowgroup" }, quantity.label + unit, h("small", {}, found.method))));
          method = found.method;
        }
        rows.push(h("tr", {}, h("th", { scope: "row" }, s.at_text || "—"),
          ...[number(found.value), interval(found.low, found.high), whole(found.count)].map((cell) => h("td", {}, cell))));
      }
    });
    const box = this.panel.querySelector(".scroll") || h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All numbers of the point" });
    const table = tableOf(["at", "value", "95 % interval", "count"], []);
    table.lastChild.append(...rows);
    box.replaceChildren(table);
    this.panel.replaceChildren(head, about, box);
  }
  // The view is in the address, so that it can be kept and sent.
  toHash() {
    const { data } = this.sweep, words = new URLSearchParams();
    words.set("quantity", data.quantities[this.q].name);
    if (this.series.at !== null) words.set("at", this.series.at);
    if (data.dims.length > 1) { words.set("x", data.dims[this.x].name); words.set("y", data.dims[this.y].name); }
    if (data.grid) data.dims.forEach((dim, d) => words.set(`i.${dim.name}`, this.codes[d]));
    else words.set("point", data.ids[this.point]);
    try { history.replaceState(null, "", `#${words}`); } catch { /* some viewers forbid it */ }
  }
  fromHash() {
    const { data } = this.sweep, words = new URLSearchParams(location.hash.slice(1));
    const find = (list, name) => list.findIndex((each) => each.name === name);
    const q = find(data.quantities, words.get("quantity"));
    if (q >= 0) this.q = q;
    if (location.hash) this.s = Math.max(0, this.sweep.byQuantity[this.q]?.findIndex((s) => s.at === Number(words.get("at"))) ?? 0);
    const x = find(data.dims, words.get("x")), y = find(data.dims, words.get("y"));
    if (x >= 0 && y >= 0 && x !== y) [this.x, this.y] = [x, y];
    if (data.grid) {
      data.dims.forEach((dim, d) => {
        const code = Number.parseInt(words.get(`i.${dim.name}`), 10);
        if (code >= 0 && code < dim.values.length) this.codes[d] = code;
      });
      this.point = this.sweep.at(this.codes);
    } else {
      const point = data.ids.indexOf(words.get("point"));
      if (point >= 0) { this.point = point; this.codes = this.sweep.codes(point); }
    }
  }
  // The tidy table again, line by line: one array entry a point, a million lines at most.
  csv() {
    const { sweep } = this, { data } = sweep;
    const names = ["quantity", "at", "at_unit", "value", "low", "high", "count", "method", "unit"];
    const lines = [csvLine(["point", "status", "error", ...data.params.map((p) => p.name), ...names])];
    for (let point = 0; point < sweep.count; point++) {
      const failed = data.failed[point];
      const start = csvLine([data.ids[point], failed ? "failed" : "done", failed ? sweep.error(point) : "",
        ...data.params.map((p) => p.values[p.codes ? p.codes[point] : 0])]).trimEnd();
      if (failed) { lines.push(`${start}${",".repeat(names.length)}\n`); continue; }
      for (const s of data.series) {
        const found = sweep.get(s, point), quantity = data.quantities[s.q];
        if (found) lines.push(`${start},${csvLine([quantity.name, s.at, quantity.at_unit, found.value, found.low, found.high, found.count, found.method, quantity.unit])}`);
      }
    }
    return lines;
  }
}
