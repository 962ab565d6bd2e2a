"use strict";
// The page without this is complete: tables and drawn charts. This makes tables sort and search, and charts zoom.

const number = new Intl.NumberFormat("en-US");

function duration(ms) {
  const three = (v) => (v < 9.995 ? v.toFixed(2) : v < 99.95 ? v.toFixed(1) : v.toFixed(0));
  if (ms < 5e-7) return "0";
  if (ms < 0.0009995) return `${(ms * 1e6).toFixed(0)}ns`;
  if (ms < 0.09995) return `${three(ms * 1000)}µs`;
  if (ms < 1) return `${ms.toFixed(2)}ms`;
  if (ms < 999.5) return `${three(ms)}ms`;
  if (ms < 59950) return `${three(ms / 1000)}s`;
  if (ms < 3570000) return `${Math.floor(ms / 60000)}m${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}s`;
  return `${number.format(Math.floor(ms / 3600000))}h${String(Math.floor(ms / 60000) % 60).padStart(2, "0")}m`;
}

// Offsets from UTC that hold from a second on, in the zone of the report.
let offsets = [[0, 0]];
let zone = "UTC";

function east(seconds) {
  let found = offsets[0][1];
  for (const [from, offset] of offsets) {
    if (from > seconds) break;
    found = offset;
  }
  return found;
}

// What a clock on the wall shows, as if it were UTC.
const wall = (seconds) => new Date((seconds + east(seconds)) * 1000);

// The same on an axis: 1ms, not 1.00ms.
const mark = (ms) => duration(ms).replace(/\.0+(?=\D)/, "");

function moment(seconds) {
  return wall(seconds).toISOString().slice(0, 16).replace("T", " ");
}

// Labels of a time axis: times of the day, or days (with the year when there are several).
const YEARS = 300 * 86400;
function clock(plot, splits) {
  const { min, max } = plot.scales.x;
  const days = splits.length > 1 && splits[1] - splits[0] >= 86400;
  return splits.map((second) => {
    const text = moment(second);
    if (days) return text.slice(max - min > YEARS ? 0 : 5, 10);
    return text.endsWith("00:00") ? text.slice(5, 10) : text.slice(11);
  });
}
const room = (plot, axis, min, max) => (max - min > YEARS ? 100 : 70);

// ---------------------------------------------------------------- tables

// What the page that is served does otherwise: it fills these in.
const hooks = { zoomed: null };

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const key = (cell) => (cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort ? head.ariaSort === "ascending" : head.className !== "";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = down ? "descending" : "ascending";
      sort();
    });
  });
  function sort() {
    const column = heads.findIndex((head) => head.ariaSort);
    if (column < 0) return;
    const numeric = heads[column].className !== "";
    const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
    const order = numeric ? ([a], [b]) => a - b : ([a], [b]) => (a < b ? -1 : Number(a > b));
    rows.sort(heads[column].ariaSort === "descending" ? (a, b) => order(b, a) : order);
    body.append(...rows.map(([, row]) => row));
  }
  return sort;
}

function searchable(section, table) {
  if (table.tBodies[0].rows.length < 8) return () => {};
  const tools = document.createElement("div");
  tools.dataset.own = "";
  const input = document.createElement("input");
  const said = document.createElement("span");
  tools.className = "tools";
  input.type = "search";
  input.placeholder = "Search";
  input.setAttribute("aria-label", `Search in ${section.querySelector("h2").textContent}`);
  said.className = "note";
  said.setAttribute("aria-live", "polite");
  function search() {
    const rows = [...table.tBodies[0].rows];
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    said.textContent = words.length ? `${number.format(shown)} of ${number.format(rows.length)} rows` : "";
  }
  input.addEventListener("input", search);
  tools.append(input, said);
  section.querySelector(".scroll").before(tools);
  return search;
}

// Each table, and what sorts and searches it once more as it is now.
const enhanced = new WeakMap();

function enhance() {
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    if (!enhanced.has(table)) {
      enhanced.set(table, [sortable(table), searchable(table.closest("section"), table)]);
    } else {
      for (const again of enhanced.get(table)) again();
    }
  }
}
enhance();

// ---------------------------------------------------------------- charts

function charts(first) {
  let data, end, edges, middles;
  const view = {};
  function take(next) {
    data = next;
    ({ zone, offsets } = data);
    end = data.start + data.step * data.count;
    Object.assign(view, { min: data.start, max: end });
    // An area of steps needs an end: the last value holds until then.
    edges = Array.from({ length: data.count + 1 }, (_, i) => data.start + i * data.step);
    middles = Array.from({ length: data.count }, (_, i) => data.start + (i + 0.5) * data.step);
  }
  take(first);
  const made = []; // { plot, figure, describe, rows }
  const readout = document.getElementById("readout");
  const style = () => getComputedStyle(document.documentElement);
  const colour = (name) => style().getPropertyValue(name).trim();
  const held = (values) => [...values, values.at(-1)];
  const whole = (u, splits) => splits.map((v) => (Number.isInteger(v) ? number.format(v) : ""));
  const stairs = uPlot.paths.stepped({ align: 1 });

  function zoom(min, max) {
    if (min === view.min && max === view.max) return;
    if (hooks.zoomed) hooks.zoomed(Math.max(min, data.start), Math.min(max, end), min === data.start && max === end);
    Object.assign(view, { min, max });
    for (const { plot } of made) {
      if (plot.scales.x.min !== min || plot.scales.x.max !== max) plot.setScale("x", { min, max });
    }
    resets();
  }

  function resets() {
    const whole = (view.min === data.start && view.max === end) || hooks.zoomed !== null;
    for (const { figure } of made) figure.querySelector(".reset").hidden = whole;
  }

  function build(id, { height, series, values, y, axis, more, cursor, legend, describe, rows }) {
    const figure = document.getElementById(id);
    if (!figure) return;
    const place = figure.querySelector(".live");
    const stroke = colour("--dim");
    const grid = { stroke: colour("--grid"), width: 1 };
    const font = "12px system-ui, sans-serif";
    const plot = new uPlot(
      {
        width: Math.max(place.clientWidth, 200),
        height,
        tzDate: (seconds) => uPlot.tzDate(wall(seconds), "Etc/UTC"),
        padding: [10, 22, 0, 0],
        scales: { x: { time: true, auto: false, min: view.min, max: view.max }, y },
        series: [{ label: zone, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...series],
        axes: [
          { stroke, grid, ticks: grid, font, size: 30, space: room, values: clock },
          { stroke, grid, ticks: grid, font, size: 62, ...axis },
        ],
        cursor: {
          y: false,
          drag: { x: true, y: false },
          sync: { key: "time", scales: ["x", null], filters: { pub: (type) => !/^mouse(up|down)$|^dblclick$/.test(type) } },
          bind: { dblclick: () => () => (hooks.zoomed ? hooks.zoomed(0, 0, true) : zoom(data.start, end)) },
          ...cursor,
        },
        legend: { ...legend },
        hooks: { setScale: [(u, key) => key === "x" && zoom(u.scales.x.min, u.scales.x.max)], ...more },
      },
      values(),
      place,
    );
    const reset = document.createElement("button");
    reset.type = "button";
    reset.className = "reset";
    reset.textContent = "Show all";
    reset.dataset.own = "";
    reset.hidden = true;
    reset.addEventListener("click", () => zoom(data.start, end));
    figure.querySelector("figcaption").append(reset);
    place.tabIndex = 0;
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", `${figure.querySelector("h3").textContent}. Arrow keys read the figures.`);
    made.push({ plot, figure, place, height, describe, rows, values, stairs: series.some((one) => one.paths === stairs) });
    return plot;
  }

  function keyboard(chart) {
    const at = { i: -1, row: 0 };
    chart.place.addEventListener("keydown", (event) => {
      if (event.target !== chart.place || event.ctrlKey || event.metaKey || event.altKey) return;
      const { plot } = chart;
      const rows = chart.rows && chart.rows();
      const xs = plot.data[0];
      const last = xs.length - 1 - (chart.stairs ? 1 : 0);
      const width = view.max - view.min;
      const middle = at.i < 0 ? (view.min + view.max) / 2 : xs[at.i];
      const first = Math.max(0, xs.findIndex((x) => x >= view.min));
      const moves = {
        ArrowRight: () => (at.i = at.i < 0 ? first : Math.min(at.i + 1, last)),
        ArrowLeft: () => (at.i = Math.max((at.i < 0 ? first : at.i) - 1, 0)),
        Home: () => (at.i = 0),
        End: () => (at.i = last),
        ArrowUp: () => (at.row = Math.min(at.row + 1, (rows || 1) - 1)),
        ArrowDown: () => (at.row = Math.max(at.row - 1, 0)),
        "+": () => zoom(Math.max(middle - width / 4, data.start), Math.min(middle + width / 4, end)),
        "-": () => zoom(Math.max(middle - width, data.start), Math.min(middle + width, end)),
        0: () => (hooks.zoomed ? hooks.zoomed(0, 0, true) : zoom(data.start, end)),
        Escape: () => (hooks.zoomed ? hooks.zoomed(0, 0, true) : zoom(data.start, end)),
      };
      const move = moves[event.key === "=" ? "+" : event.key];
      if (!move || (event.key.match(/Up|Down/) && !rows)) return;
      event.preventDefault();
      move();
      if (at.i < 0) return;
      const top = rows ? plot.valToPos(at.row + 0.5, "y") : plot.bbox.height / devicePixelRatio / 2;
      plot.setCursor({ left: plot.valToPos(xs[at.i], "x"), top });
      readout.textContent = chart.describe(at.i, at.row);
    });
  }

  function stacked() {
    const names = Object.keys(data.classes);
    const stack = () => {
      const sums = [];
      names.forEach((name, n) => sums.push(data.classes[name].map((v, i) => v + (n ? sums[n - 1][i] : 0))));
      return sums.map(held).reverse();
    };
    const value = (name) => (u, v, s, i) => (i == null ? "–" : number.format(data.classes[name][Math.min(i, data.count - 1)]));
    const series = names.map((name) => ({
      label: name, value: value(name), paths: stairs, points: { show: false }, width: 0,
      stroke: colour(`--c${name}`), fill: colour(`--c${name}`),
    }));
    const total = (u, v, s, i) => (i == null ? "–" : number.format(data.requests[Math.min(i, data.count - 1)]));
    build("requests", {
      height: 230,
      series: [{ label: "All", value: total, paths: () => null, points: { show: false } }, ...series.reverse()],
      values: () => [edges, held(data.requests), ...stack()],
      y: { range: (u, min, max) => [0, Math.max(max * 1.05, 1)] },
      axis: { values: whole },
      cursor: { points: { show: false } },
      describe: (i) => `${moment(edges[i])}: ${number.format(data.requests[i])} requests; ${names.map((name) => `${name} ${number.format(data.classes[name][i])}`).join(", ")}`,
    })?.root.classList.add("fixed");
  }

  function errors() {
    const rate = (i) => (data.requests[i] ? `${((100 * data.errors[i]) / data.requests[i]).toPrecision(2)}%` : "–");
    build("errors", {
      height: 130,
      series: [
        {
          label: "5xx", stroke: colour("--c5xx"), fill: colour("--c5xx"), width: 0, paths: stairs, points: { show: false },
          value: (u, v, s, i) => (i == null ? "–" : `${number.format(v)} (${rate(Math.min(i, data.count - 1))})`),
        },
      ],
      values: () => [edges, held(data.errors)],
      y: { range: (u, min, max) => [0, Math.max(max * 1.1, 1)] },
      axis: { values: whole },
      describe: (i) => `${moment(edges[i])}: ${number.format(data.errors[i])} errors, ${rate(i)}`,
    })?.root.classList.add("fixed");
  }

  function percentiles() {
    const names = Object.keys(data.percentiles);
    // Where 0 is drawn on an axis that has none: with the least of the others, so that it does not stretch the axis.
    const shown = () => {
      const above = names.flatMap((name) => data.percentiles[name]).filter((v) => v > 0);
      const floor = above.length ? Math.min(...above) : 1;
      return names.map((name) => data.percentiles[name].map((v) => (v === null ? null : Math.max(v, floor))));
    };
    build("percentiles", {
      height: 260,
      series: names.map((name, n) => ({
        label: `p${name}`, stroke: colour(`--p${n % 6}`), width: 1, points: { show: false },
        value: (u, v, s, i) => (i == null || v == null ? "–" : duration(data.percentiles[name][i])),
      })),
      values: () => [middles, ...shown()],
      y: { distr: 3, log: 10 },
      axis: { values: (u, splits) => splits.map((v) => (v === null ? "" : mark(v))) },
      describe: (i) => `${moment(edges[i])}: ${names.map((name) => (data.percentiles[name][i] === null ? "" : `p${name} ${duration(data.percentiles[name][i])}`)).filter(Boolean).join(", ") || "no durations"}`,
    });
  }

  function heat() {
    let step, columns, limits, cells, rows, counts, most, growth, marks;
    const rowOf = (ms) => Math.log(ms / limits[0]) / growth;
    const prepare = () => {
      ({ step, columns, edges: limits, cells } = data.heat);
      rows = limits.length - 1;
      counts = new Map();
      most = 1;
      for (let i = 0; i < cells.length; i += 3) {
        counts.set(cells[i] * rows + cells[i + 1], cells[i + 2]);
        most = Math.max(most, cells[i + 2]);
      }
      growth = Math.log(limits[rows] / limits[0]) / rows;
      marks = [];
      for (let power = -3; power < 14; power++) {
        for (const digit of growth * rows < 5 ? [1, 2, 5] : [1]) {
          const row = rowOf(digit * 10 ** power);
          if (row >= 0 && row <= rows) marks.push([row, digit * 10 ** power]);
        }
      }
      const centres = Array.from({ length: columns }, (_, i) => data.start + (i + 0.5) * step);
      return [centres, centres.map(() => null)];
    };
    const stops = [0, 1, 2, 3, 4, 5].map((n) => colour(`--heat${n}`).match(/[0-9a-f]{2}/gi).map((h) => parseInt(h, 16)));
    const shade = (count) => {
      const at = (5 * Math.log1p(count)) / Math.log1p(most);
      const low = Math.min(Math.floor(at), 4);
      return `rgb(${stops[low].map((v, i) => Math.round(v + (stops[low + 1][i] - v) * (at - low))).join(" ")})`;
    };
    const words = (column, row) => {
      const begin = data.start + column * step;
      const count = counts.get(column * rows + row) || 0;
      const low = row ? `${duration(limits[row])} – ` : "up to ";
      return `${moment(begin)} – ${moment(begin + step).slice(11)}, ${low}${duration(limits[row + 1])}: ${number.format(count)} requests`;
    };
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const draw = (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (let i = 0; i < cells.length; i += 3) {
        const x = u.valToPos(data.start + cells[i] * step, "x", true);
        const right = u.valToPos(data.start + (cells[i] + 1) * step, "x", true);
        const y = u.valToPos(cells[i + 1] + 1, "y", true);
        const bottom = u.valToPos(cells[i + 1], "y", true);
        ctx.fillStyle = shade(cells[i + 2]);
        // Whole pixels, so that neighbours touch.
        ctx.fillRect(Math.round(x), Math.round(y), Math.max(1, Math.round(right) - Math.round(x)), Math.round(bottom) - Math.round(y));
      }
      ctx.restore();
    };
    const hover = (u) => {
      const { left, top } = u.cursor;
      const column = Math.floor((u.posToVal(left, "x") - data.start) / step);
      const row = Math.floor(u.posToVal(top, "y"));
      const inside = left >= 0 && top >= 0 && column >= 0 && column < columns && row >= 0 && row < rows;
      tip.hidden = !inside || (!u.root.matches(":hover") && document.activeElement !== u.root.parentNode);
      if (tip.hidden) return;
      tip.textContent = words(column, row);
      const x = left + u.over.offsetLeft;
      const right = x > u.root.clientWidth / 2;
      tip.style.left = right ? "auto" : `${x + 12}px`;
      tip.style.right = right ? `${u.root.clientWidth - x + 12}px` : "auto";
      tip.style.top = `${Math.max(0, top - 30)}px`;
    };
    const plot = build("heat", {
      height: 280,
      rows: () => rows,
      series: [{ label: "Requests", paths: () => null, points: { show: false } }],
      values: prepare,
      y: { range: () => [0, rows] },
      axis: { splits: () => marks.map(([row]) => row), values: () => marks.map(([, ms]) => mark(ms)) },
      cursor: { y: true, points: { show: false } },
      legend: { show: false },
      more: { drawAxes: [draw], setCursor: [hover] },
      describe: words,
    });
    plot?.root.append(tip);
  }

  function users(id, height, xs, values, tone) {
    build(id, {
      height,
      series: [
        {
          label: "Users", stroke: colour(tone), fill: colour(tone), width: 0, paths: stairs, points: { show: false },
          value: (u, v) => (v == null ? "–" : number.format(v)),
        },
      ],
      values: () => [xs(), held(values())],
      y: { range: (u, min, max) => [0, Math.max(max * 1.05, 1)] },
      axis: { values: whole },
      describe: (i) => `${moment(xs()[i])}: ${number.format(values()[i])} users`,
    })?.root.classList.add("fixed");
  }

  function draw() {
    stacked();
    errors();
    if (data.heat) {
      percentiles();
      heat();
    }
    users("users", 130, () => edges, () => data.users, "--cusers");
    const hours = () => Array.from({ length: data.hours.users.length + 1 }, (_, i) => data.hours.start + i * 3600);
    users("hours", 130, hours, () => data.hours.users, "--chours");
    made.forEach(keyboard);
  }

  function redraw() {
    for (const { plot, figure, place } of made.splice(0)) {
      plot.destroy();
      figure.querySelector(".reset")?.remove();
      place.replaceWith(place.cloneNode(false));
    }
    fit.disconnect();
    draw();
    document.querySelectorAll(".live").forEach((place) => fit.observe(place));
  }

  // Which charts there are, and of what: if that changes, they are made anew.
  const shape = () => {
    const there = [...document.querySelectorAll("figure.chart")].map((figure) => figure.id);
    return JSON.stringify([there, Object.keys(data.classes), Object.keys(data.percentiles), !data.heat]);
  };
  let drawn = "";

  draw();
  drawn = shape();
  const fit = new ResizeObserver(() => {
    for (const { plot, place, height } of made) {
      if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height });
    }
  });
  document.querySelectorAll(".live").forEach((place) => fit.observe(place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // The charts with other figures.
  return (next) => {
    take(next);
    if (shape() !== drawn || made.some(({ place }) => !place.isConnected)) {
      redraw();
      drawn = shape();
    } else {
      for (const { plot, values } of made) {
        plot.batch(() => {
          plot.setData(values(), false);
          plot.setScale("x", { min: view.min, max: view.max });
        });
      }
    }
    resets();
  };
}

let update = null; // shows other figures in the charts

function show() {
  const source = document.getElementById("data");
  if (!source?.textContent.trim()) return;
  document.documentElement.classList.add("js"); // shows the places of the charts, which have no size until then
  const data = JSON.parse(source.textContent);
  try {
    if (update) update(data);
    else update = charts(data);
  } catch (error) {
    document.documentElement.classList.remove("js");
    throw error;
  }
}
show();
