// The page: downloads, unpacking, and what is drawn.

function csvLine(cells) {
  return `${cells.map((cell) => {
    if (cell === null || cell === undefined) return "";
    const text = cell === Infinity ? "inf" : cell === -Infinity ? "-inf" : String(cell);
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  }).join(",")}\n`;
}

function download(name, parts, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // The browser reads the blob after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const safeName = (text) => text.replace(/[^\w.-]+/g, "-").slice(0, 80) || "report";

// ---- the page ---------------------------------------------------------------------

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function start() {
  const state = document.getElementById("state"), host = document.getElementById("figures");
  let text;
  try {
    text = await unpack(document.getElementById("data").textContent);
  } catch (error) {
    state.className = "warning";
    state.textContent = `The figures cannot be shown: this browser cannot unpack the data (${error.message}). Browsers from 2023 on can; the tables below are complete without it.`;
    return;
  }
  const data = JSON.parse(text), name = safeName(data.title);
  Chart.config = data.config;
  const buttons = document.getElementById("downloads");
  const button = (label, act) => buttons.append(h("button", { type: "button", onclick: act }, label));
  buttons.append(h("strong", {}, "Data of this page:"));
  button("JSON", () => download(`${name}.json`, [text], "application/json"));
  state.remove();
  if (data.kind === "sweep") {
    const view = new SweepView(host, data);
    button("CSV, all points", () => download(`${name}.csv`, view.csv(), "text/csv"));
    document.body.dataset.ready = "sweep";
    return;
  }
  const two = h("div", { class: "two" });
  host.append(two);
  for (const about of data.charts) {
    new LineChart(two, { ...about, rows: rowsOf(about.rows) });
    await new Promise((next) => setTimeout(next)); // the page stays alive meanwhile
  }
  for (const [table, columns] of Object.entries(data.tables)) {
    const names = Object.keys(columns), length = columns[names[0]].length;
    button(`CSV, ${table}`, () => download(`${name}-${table}.csv`,
      [csvLine(names), ...Array.from({ length }, (_, i) => csvLine(names.map((c) => columns[c][i])))], "text/csv"));
  }
  document.body.dataset.ready = "run";
}

// On paper nothing can be opened.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details.section:not([open]), details.rests:not([open])")];
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => { for (const each of closed) each.open = false; });

start();
