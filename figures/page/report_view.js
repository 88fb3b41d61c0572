// The view of a sweep: what is chosen, by which control, and all that follows it.

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
    if (dims.length) this.line = new LineChart(dims.length > 1 ? low : top, this.lineSpec());
    top.append(this.panel);
    host.append(low);
    this.curves = ["blocks", "expected blocks"].filter((unit) => this.curveSpec(unit))
      .map((unit) => [unit, new LineChart(low, this.curveSpec(unit))]);
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
    if (list.length > 1) parts.push(pick(`At (${quantity.at_unit})`, list.map((s) => this.sweep.atText(s)), this.s, (s) => { this.s = s; this.update(); }));
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
      const quantity = this.sweep.data.quantities[this.q];
      if (this.coloured !== this.series) {
        this.coloured = this.series;
        this.colours = new Colours(this.series, quantity.scale, quantity.unit === "probability");
      }
      this.sliders.forEach((pair, d) => {
        const dim = this.sweep.data.dims[d], text = dim.texts[this.codes[d]] + dim.more[this.codes[d]];
        pair[0].value = this.codes[d];
        pair[0].setAttribute("aria-valuetext", text);
        pair[1].textContent = text;
      });
      if (this.map) { this.map.draw(); this.map.details.open && this.map.fill(); }
      this.line?.set(this.lineSpec());
      for (const [unit, chart] of this.curves) {
        const at = chart.at;
        chart.set(this.curveSpec(unit));
        if (chart.places.includes(at)) chart.read(at);
      }
      this.preview(this.point);
      this.toHash();
    });
  }
  lineSpec() {
    const { sweep, x, codes } = this, dim = sweep.data.dims[x], quantity = sweep.data.quantities[this.q];
    const label = quantityTitle(sweep, this.q, this.s), points = [];
    if (sweep.data.grid) for (let code = 0; code < dim.values.length; code++) {
      const point = sweep.at(codes.map((c, d) => (d === x ? code : c)));
      if (point >= 0) points.push(point);
    } else points.push(...this.order(x));
    const s = { name: sweep.data.grid ? "at the sliders" : "all points", kind: sweep.data.grid ? "band" : "dots",
      x: [], value: [], low: [], high: [], count: [], method: [] };
    let failed = 0;
    for (const point of points) {
      const found = sweep.get(this.series, point) || { value: null, low: null, high: null, count: null, method: sweep.data.failed[point] ? `failed: ${sweep.error(point)}` : "no number" };
      failed += sweep.data.failed[point];
      s.x.push(dim.values[dim.codes[point]]);
      for (const name of ["value", "low", "high", "count", "method"]) s[name].push(found[name]);
    }
    const others = sweep.data.dims.filter((_, d) => d !== x).map((d) => `${d.label.split(",")[0]} = ${d.texts[d.codes[this.point]] ?? "—"}`);
    const scale = this.colours ? this.colours.scale : quantity.scale === "auto" ? "linear" : quantity.scale;
    const few = everyFew(dim.values.length, 14).map((i) => dim.values[i]);
    const texts = Object.fromEntries(dim.values.map((v, i) => [v, dim.texts[i]]));
    return {
      title: `${label} against ${dim.label.split(",")[0]}`,
      note: [sweep.data.grid ? `${others.length ? `At ${others.join(", ")}. ` : ""}Band: 95 % interval.` : s.x.length > 500 ? "All points; intervals under the pointer and in the table." : "All points; bars: 95 % interval.",
        failed ? `${failed} failed and have no number here (see the table).` : ""].join(" "),
      x: sweep.data.grid ? { label: dim.label, scale: dim.scale, ticks: few, texts } : { label: dim.label, scale: dim.scale, ...(dim.scale === "text" ? { texts: dim.texts, ticks: few } : {}) },
      y: { label: quantity.unit || "value", scale },
      series: [s],
      cursor: this.point >= 0 ? dim.values[dim.codes[this.point]] : dim.values[codes[x]],
    };
  }
  // The quantities that are a curve over `at`, of the selected point.
  curveSpec(unit) {
    const { sweep, point } = this, series = [];
    sweep.data.quantities.forEach((quantity, q) => {
      const list = sweep.byQuantity[q];
      if (quantity.at_unit !== unit || list.length < 3) return;
      const s = { name: quantity.label, kind: "estimate", x: [], value: [], low: [], high: [], count: [], method: [] };
      for (const each of list) {
        const found = sweep.get(each, point);
        if (!found) continue;
        s.x.push(each.at);
        for (const name of ["value", "low", "high", "count", "method"]) s[name].push(found[name]);
      }
      series.push(s);
    });
    if (!series.length) return null;
    const blocks = unit === "blocks";
    const state = point < 0 ? "not in the design" : sweep.data.failed[point] ? `failed: ${sweep.error(point)}` : sweep.name(point);
    const places = series.flatMap((s) => s.x);
    return {
      title: blocks ? "Persistence of the selected point" : "Good periods of the selected point",
      note: `${state ? `${state}. ` : ""}Bars: 95 % interval. ▽ or △: none or all seen, the limit is the interval's other end.`,
      x: { label: blocks ? "Depth k (blocks)" : "Window length kp (expected honest blocks)",
        scale: places.length && minimum(places) > 0 && -minimum(places.map((v) => -v)) >= 20 * minimum(places) && !blocks ? "log" : "linear" },
      y: { label: "probability", scale: blocks ? "log" : "logit" },
      series,
    };
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
      sweep.byQuantity[q].forEach((s) => {
        const found = sweep.get(s, point);
        if (!found) return;
        if (found.method !== method) {
          rows.push(`<tr class="group"><th colspan="4" scope="rowgroup">${esc(quantity.label)}${quantity.unit ? ` (${esc(quantity.unit)})` : ""}<small>${esc(found.method)}</small></th></tr>`);
          method = found.method;
        }
        const at = sweep.atText(s);
        rows.push(`<tr><th scope="row">${esc(at || "—")}</th><td>${number(found.value)}</td><td>${esc(interval(found.low, found.high))}</td><td>${whole(found.count)}</td></tr>`);
      });
    });
    const box = this.panel.querySelector(".scroll") || h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All numbers of the point" });
    box.innerHTML = `<table><thead><tr><th scope="col">at</th><th scope="col">value</th><th scope="col">95 % interval</th><th scope="col">count</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
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
