// The interactive part of a report: one table of trials filters every drawing below it.
// It needs d3 and Plot (beside this file) and the JSON of `fdrnn.reports.numbers.exploration`.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("exploration").textContent);
  const ON_LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#858b92"];
  const ON_DARK = ["#56b4e9", "#ff9a4d", "#2fd0a0", "#f0a6cc", "#b5bbc2"];
  const HIGHEST = 0.85; // quantile of the NLL at which its axes end
  const MANY = 8; // numbers of which some are worth cutting off
  const MOST_ROWS = 100, MOST_CURVES = 200;

  const rows = data.studies.flatMap((study) =>
    study.trials.map((trial) => ({ ...trial, study: study.name, ...trial.values })));
  const NUMBERS = [
    { name: "valid", label: "validation NLL" }, { name: "test", label: "test NLL" },
    { name: "masked", label: "validation NLL, masked" }, { name: "best", label: "best epoch" },
    { name: "epochs", label: "epochs" }, { name: "minutes", label: "minutes" },
  ];
  const columns = [
    { name: "study", label: "study", text: true }, { name: "trial", label: "trial" },
    { name: "state", label: "state", text: true }, ...NUMBERS,
    ...data.parameters.map((one) => ({ ...one, text: one.choices && one.choices.some(isNaN) })),
  ];
  // NLL of different data are not comparable: at first one data set is shown.
  const sets = d3.groups(data.studies, (one) => one.data)
    .map(([label, some]) => [label, some.map((one) => one.name)]);
  const shown = { studies: new Set(sets[0][1]), filters: new Map(),
    brushes: new Map(), sort: null, descending: false, chosen: null, all: false };
  // What ranks trials: each study's own validation NLL where all have one padding rule.
  const ruleOf = (studies) => (new Set(studies.map((one) => one.padding)).size > 1 ? "masked" : "valid");
  const ranking = () => ruleOf(data.studies.filter((one) => shown.studies.has(one.name)));

  const root = d3.select("#explore-parts");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colors = () => (dark.matches ? ON_DARK : ON_LIGHT);
  const NLL = new Set(["valid", "test", "masked"]);
  const color = (study) =>
    colors()[data.studies.findIndex((one) => one.name === study) % colors().length];
  const written = (value) =>
    value === null || value === undefined ? "-"
      : typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(4)) : `${value}`;
  const cell = (name, value) =>
    NLL.has(name) && typeof value === "number" ? value.toFixed(3) : written(value);
  const title = (row) => `${row.study}, trial ${row.trial}`;
  const width = () => Math.max(280, root.node().clientWidth);

  function part(heading, hint) {
    const one = root.append("div").attr("class", "part");
    one.append("h3").text(heading);
    one.append("p").attr("class", "note").text(hint);
    return one;
  }

  function selection(parent, label, options, value, change) {
    const field = parent.append("label").text(`${label} `);
    const list = field.append("select").on("change", (event) => change(event.target.value));
    list.selectAll("option").data(options).join("option")
      .attr("value", (one) => one.name).text((one) => one.label || one.name);
    return list.property("value", value);
  }

  // A filter is a comparison (<5, >=0.1, =yes) or a part of the text.
  function passes(filter, name, value) {
    const found = /^\s*(<=|>=|<|>|=)\s*(.*?)\s*$/.exec(filter);
    if (!found) return cell(name, value).toLowerCase().includes(filter.trim().toLowerCase());
    const [, sign, wanted] = found;
    if (wanted === "") return true;
    if (sign === "=") return String(value) === wanted || cell(name, value) === wanted;
    if (value === null || value === undefined || isNaN(value) || isNaN(wanted)) return false;
    // The values of choices are texts, which would be in alphabetical order.
    const [a, b] = [+value, +wanted];
    return { "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b }[sign];
  }

  const filtered = () => rows.filter((row) => shown.studies.has(row.study) &&
    [...shown.filters].every(([name, filter]) => passes(filter, name, row[name])));
  const brushed = (some) => some.filter((row) =>
    [...shown.brushes.values()].every((holds) => holds(row)));
  const current = () => brushed(filtered());

  function highest(some, name) {
    const values = some.map((row) => row[name]).filter((one) => one !== null).sort(d3.ascending);
    const top = d3.quantileSorted(values, values.length < MANY ? 1 : HIGHEST);
    const best = values[0];
    // Where nearly all are good, the axis has a margin above them.
    return top === undefined ? [0, 1] : [best, Math.max(top, best + 0.02 * Math.abs(best) + 1e-6)];
  }

  function axis(name) {
    const parameter = data.parameters.find((one) => one.name === name);
    if (parameter && parameter.choices) return { type: "point", domain: parameter.choices };
    return { type: parameter && parameter.log ? "log" : "linear" };
  }

  const labelOf = (name) => columns.find((one) => one.name === name).label;

  // ---- Table
  const controls = part("All trials",
    "Studies of different padding rules are ranked by the masked validation NLL." +
    " A click on a heading sorts. Below it, a part of the text or a comparison such as <8.2 or =0.9" +
    " filters, here and in every drawing. A click on a row, or Enter, marks its trial.");
  const boxes = controls.append("details").attr("class", "studies");
  boxes.append("summary");
  const buttons = boxes.append("p");
  for (const [label, names] of [...sets, ["all", data.studies.map((one) => one.name)], ["none", []]])
    buttons.append("button").attr("type", "button").text(label).on("click", () => {
      shown.studies = new Set(names);
      update();
    });
  boxes.append("div").selectAll("label").data(data.studies).join("label").each(function (study) {
    d3.select(this).append("input").attr("type", "checkbox").on("change", (event) => {
      shown.studies[event.target.checked ? "add" : "delete"](study.name);
      update();
    });
    d3.select(this).append("span").text(` ${study.name}`);
  });
  const frame = controls.append("div").attr("class", "scroll tall").attr("tabindex", 0)
    .attr("role", "region").attr("aria-label", "All trials");
  const table = frame.append("table").attr("class", "trials");
  const head = table.append("thead");
  const headings = head.append("tr").selectAll("th").data(columns).join("th").attr("scope", "col")
    .attr("class", (one) => (one.text ? null : "number"));
  headings.append("button").attr("type", "button").text((one) => one.label)
    .on("click", (event, one) => {
      shown.descending = (shown.sort || ranking()) === one.name && !shown.descending;
      shown.sort = one.name;
      drawTable();
    });
  head.append("tr").selectAll("td").data(columns).join("td").append("input").attr("type", "search")
    .attr("aria-label", (one) => `filter ${one.label}`).attr("size", 6)
    .on("input", (event, one) => {
      if (event.target.value.trim()) shown.filters.set(one.name, event.target.value);
      else shown.filters.delete(one.name);
      update();
    });
  const body = table.append("tbody");
  const count = controls.append("p").attr("class", "note");

  function drawTable() {
    const sign = shown.descending ? -1 : 1, by = shown.sort || ranking(), rank = ranking();
    const known = (value) => value !== null && value !== undefined;
    const some = current().sort((one, other) => {
      const [a, b] = [one[by], other[by]];
      if (!known(a) || !known(b)) return known(b) - known(a);
      return sign * (isNaN(a) || isNaN(b) ? d3.ascending(String(a), String(b)) : a - b);
    });
    const best = d3.min(some, (row) => row[rank]);
    headings.attr("aria-sort", (one) => one.name !== by ? null
      : shown.descending ? "descending" : "ascending");
    body.selectAll("tr").data(shown.all ? some : some.slice(0, MOST_ROWS)).join("tr")
      .attr("class", (row) => (row === shown.chosen ? "chosen" : null))
      .attr("tabindex", 0)
      .on("click", (event, row) => choose(row))
      .on("keydown", (event, row) => {
        if (event.key === "Enter") choose(row);
      })
      .selectAll("td").data((row) => columns.map((one) => ({ row, one }))).join("td")
      .attr("class", ({ one }) => (one.text ? null : "number"))
      .style("font-weight", ({ row, one }) => one.name === rank && row[rank] === best ? 600 : null)
      .text(({ row, one }) => cell(one.name, row[one.name]));
    count.text(`${some.length} of ${rows.length} trials. `);
    if (some.length > MOST_ROWS)
      count.append("button").attr("type", "button").text(shown.all ? "show fewer" : "show all")
        .on("click", () => {
          shown.all = !shown.all;
          drawTable();
        });
    boxes.select("summary").text(`Studies: ${shown.studies.size} of ${data.studies.length}`);
    boxes.selectAll("input").property("checked", (study) => shown.studies.has(study.name));
  }

  // ---- NLL against a value
  const scatter = part("NLL against any value",
    "A dot per trial of the table. The axis ends at the 85 % quantile; triangles stand above it.");
  const against = { x: data.parameters.length ? data.parameters[0].name : "epochs", y: ranking() };
  const choice = scatter.append("p").attr("class", "controls");
  selection(choice, "Across", [...data.parameters, ...NUMBERS], against.x, (name) => {
    against.x = name;
    drawScatter();
  });
  selection(choice, "Up", NUMBERS.slice(0, 3), against.y, (name) => {
    against.y = name;
    drawScatter();
  });
  const scatterPlot = scatter.append("div").attr("class", "plot");

  function drawScatter() {
    const { x, y } = against;
    const some = current().filter((row) => written(row[x]) !== "-" && row[y] !== null);
    const [low, top] = highest(some, y);
    const scale = axis(x);
    // Choices are spread so that dots of one value lie apart, in the order of the draws.
    const spread = (row) => scale.type === "point" ? 24 * (((row.trial * 0.618) % 1) - 0.5) : 0;
    const channels = { x: (row) => row[x], y: (row) => Math.min(row[y], top), stroke: "study",
      title: (row) => `${title(row)}\n${labelOf(x)}: ${written(row[x])}\n${labelOf(y)}: ${written(row[y])}` };
    const marks = d3.groups(some, (row) => Math.round(spread(row))).map(([dx, group]) =>
      Plot.dot(group, { ...channels, dx, r: 3, strokeWidth: 1.5, title: null,
        symbol: (row) => (row[y] > top ? "triangle" : "circle") }));
    const marked = some.filter((row) => row === shown.chosen);
    show(scatterPlot, Plot.plot({ width: width(), height: 320, marginLeft: 55, marginBottom: 40,
      grid: true, x: { ...scale, label: labelOf(x) },
      y: { label: labelOf(y), domain: [low - 0.04 * (top - low), top + 0.02 * (top - low)] },
      symbol: { domain: ["circle", "triangle"], range: ["circle", "triangle2"] },
      color: legend(some),
      marks: [...marks,
        Plot.dot(marked, { ...channels, title: null, r: 7, stroke: "currentColor" }),
        Plot.tip(some, Plot.pointer({ ...channels, stroke: "currentColor" }))] }));
  }

  function legend(some) {
    const names = [...new Set(some.map((row) => row.study))];
    return { domain: names, range: names.map(color), legend: names.length > 1 && names.length < 9 };
  }

  // ---- Parallel coordinates
  const parallel = part("Parallel coordinates",
    "A line per trial of the table, the stronger the lower its validation NLL. Drag along an axis to" +
    " keep the trials that pass there; a click beside the mark lifts it.");
  const parallelPlot = parallel.append("div").attr("class", "scroll").attr("tabindex", 0)
    .attr("role", "region").attr("aria-label", "Parallel coordinates");
  let restyle = () => {};

  function drawParallel() {
    const rank = ranking();
    const some = filtered().filter((row) => row[rank] !== null);
    const varied = data.parameters.filter((one) =>
      new Set(some.map((row) => row[one.name]).filter((value) => value !== null)).size > 1);
    const axes = [{ name: rank, label: labelOf(rank) }, ...varied];
    const size = { width: Math.max(width(), 78 * axes.length), height: 380, top: 95, bottom: 18 };
    const at = d3.scalePoint(axes.map((one) => one.name), [30, size.width - 60]);
    const [low, top] = highest(some, rank);
    const span = [size.height - size.bottom, size.top];
    const scales = new Map(axes.map((one) => {
      if (one.name === rank) return [one.name, d3.scaleLinear([low, top], span).clamp(true)];
      if (one.choices) {
        const used = one.choices.filter((value) => some.some((row) => row[one.name] === value));
        return [one.name, d3.scalePoint(used, span)];
      }
      return [one.name, (one.log ? d3.scaleLog : d3.scaleLinear)(d3.extent(some, (row) => row[one.name]), span)];
    }));
    const place = (row, name) => {
      const value = row[name];
      return value === null || value === undefined ? undefined : scales.get(name)(value);
    };
    const line = (row) => d3.line().defined((point) => point[1] !== undefined)(
      axes.map((one) => [at(one.name), place(row, one.name)]));
    const ends = dark.matches ? ["#2b4a63", "#cfe9ff"] : ["#9ecae8", "#00304d"];
    const shade = d3.scaleSequential([top, low], d3.interpolateRgb(...ends));
    const ink = (row) => shade(Math.min(row[rank], top));
    const svg = d3.create("svg").attr("width", size.width).attr("height", size.height)
      .attr("role", "img").attr("aria-label", "Parallel coordinates of the trials");
    const lines = svg.append("g").attr("fill", "none").selectAll("path")
      .data(some.sort((one, other) => other[rank] - one[rank])).join("path").attr("d", line)
      .on("click", (event, row) => choose(row));
    lines.append("title").text((row) => `${title(row)}, ${labelOf(rank)} ${written(row[rank])}`);
    restyle = () => {
      const kept = new Set(brushed(some));
      lines.attr("stroke", (row) => (row === shown.chosen ? colors()[1] : ink(row)))
        .attr("stroke-width", (row) => (row === shown.chosen ? 3 : 1.3))
        .attr("opacity", (row) => (row === shown.chosen ? 1 : kept.has(row) ? 0.75 : 0.04));
    };
    shown.brushes.clear();
    const groups = svg.append("g").selectAll("g").data(axes).join("g")
      .attr("transform", (one) => `translate(${at(one.name)},0)`);
    groups.each(function (one) {
      const scale = scales.get(one.name);
      d3.select(this).call((one.choices ? d3.axisRight(scale)
        : d3.axisRight(scale).ticks(6, one.log ? "~g" : undefined)).tickSize(3));
    });
    groups.append("text").attr("transform", `translate(0,${size.top - 12}) rotate(-28)`)
      .attr("fill", "currentColor").attr("text-anchor", "start").text((one) => one.label);
    groups.append("g").each(function (one) {
      d3.select(this).call(d3.brushY().extent([[-12, size.top - 6], [12, span[0] + 6]])
        .on("brush end", (event) => {
          if (event.selection) {
            const [from, to] = event.selection;
            shown.brushes.set(one.name, (row) => {
              const y = place(row, one.name);
              return y !== undefined && from <= y && y <= to;
            });
          } else shown.brushes.delete(one.name);
          restyle();
          if (event.type === "end" && event.sourceEvent) redraw();
        }));
    });
    restyle();
    show(parallelPlot, svg.node());
  }

  // ---- Learning curves
  const learning = part("Learning curves",
    `The trials of the table, at most the ${MOST_CURVES} of the lowest validation NLL. Point at a` +
    " curve for its trial; a click marks it. The validation NLL is that of each study's padding rule.");
  const curveOf = { name: 2 };
  selection(learning.append("p").attr("class", "controls"), "Show",
    [{ name: 2, label: "validation NLL" }, { name: 1, label: "training NLL" }], 2, (name) => {
      curveOf.name = +name;
      drawCurves();
    });
  const learningPlot = learning.append("div").attr("class", "plot");

  function drawCurves() {
    const rank = ranking();
    const some = current().filter((row) => row.curve[0].length)
      .sort((one, other) => d3.ascending(one[rank] ?? Infinity, other[rank] ?? Infinity))
      .slice(0, MOST_CURVES);
    const points = some.flatMap((row) => row.curve[0].map((epoch, index) =>
      ({ row, study: row.study, epoch, nll: row.curve[curveOf.name][index] })));
    const [low, top] = highest(points, "nll");
    const inside = points.filter((point) => point.nll !== null && point.nll <= top);
    const channels = { x: "epoch", y: "nll", z: (point) => title(point.row) };
    show(learningPlot, Plot.plot({ width: width(), height: 340, marginLeft: 55, grid: true, clip: true,
      x: { label: "epoch" }, y: { label: "NLL (nats per step)", domain: [low - 0.03 * (top - low), top] },
      color: legend(some),
      marks: [
        Plot.line(points, { ...channels, stroke: "study", strokeWidth: 1 }),
        Plot.line(points.filter((point) => point.row === shown.chosen),
          { ...channels, stroke: "currentColor", strokeWidth: 3 }),
        Plot.tip(inside, Plot.pointer({ ...channels, title: (point) =>
          `${title(point.row)}\nepoch ${point.epoch}: ${written(point.nll)}` }))] }));
  }

  // ---- Two studies
  const areDrawnAlike = (one, other) => one.data === other.data && one.seed === other.seed &&
    one.trials.length > 1 && other.trials.length > 1;
  const pair = (data.pairs.find(([i, j]) => areDrawnAlike(data.studies[i], data.studies[j])) ||
    [0, Math.min(1, data.studies.length - 1)]).slice(0, 2);
  const comparison = data.studies.length > 1 ? part("Two studies beside each other",
    "Differences of settings, the selected trials, and, of studies of one data set and seed, every" +
    " draw that both have trained.") : null;
  if (comparison) {
    const choices = data.studies.map((one, index) => ({ name: index, label: one.name }));
    const place = comparison.append("p").attr("class", "controls");
    for (const side of [0, 1])
      selection(place, ["First", "Second"][side], choices, pair[side], (index) => {
        pair[side] = +index;
        drawComparison();
      });
  }
  const comparisonPlot = comparison && comparison.append("div");

  function drawComparison() {
    if (!comparison) return;
    const [one, other] = pair.map((index) => data.studies[index]), rank = ruleOf([one, other]);
    const selected = [one, other].map((study) =>
      study.trials.find((trial) => trial.trial === study.selected) || { values: {} });
    const lines = [["network", one.network, other.network], ["data", one.data, other.data]];
    const settings = other.settings.reduce((found, [name, text]) => found.set(name, text), new Map());
    for (const [name, text] of one.settings)
      if (settings.get(name) !== text) lines.push([name, text, settings.get(name)]);
    for (const [name, key] of [["selected trial", "trial"], ["best epoch", "best"], [labelOf(rank), rank], ["test NLL, pooled", "test"]])
      lines.push([name, ...selected.map((trial) => cell(key, trial[key]))]);
    for (const { name, label } of data.parameters) {
      const values = selected.map((trial) => written(trial.values[name]));
      if (values[0] !== values[1]) lines.push([label, ...values]);
    }
    comparisonPlot.selectAll("*").remove();
    const grid = comparisonPlot.append("div").attr("class", "scroll").append("table");
    grid.append("thead").append("tr").selectAll("th").data(["", one.name, other.name]).join("th")
      .attr("scope", "col").text((text) => text);
    grid.append("tbody").selectAll("tr").data(lines).join("tr").selectAll("td")
      .data((cells) => cells).join("td").text((text) => text);
    comparisonPlot.append("p").attr("class", "difference").text(differenceOf(one, other));
    const pairs = one.trials.map((trial) => ({ trial, twin: other.trials.find((twin) => twin.trial === trial.trial) }))
      .filter(({ trial, twin }) => twin && trial[rank] !== null && twin[rank] !== null);
    if (one === other || !pairs.length || !areDrawnAlike(one, other)) return;
    const [low, top] = highest(pairs.flatMap(({ trial, twin }) => [trial, twin]), rank);
    const inside = pairs.filter(({ trial, twin }) => trial[rank] <= top && twin[rank] <= top);
    const channels = { x: ({ trial }) => trial[rank], y: ({ twin }) => twin[rank] };
    const side = Math.min(width(), 420);
    comparisonPlot.append("div").attr("class", "plot").append(() => Plot.plot({ width: side, height: side,
      marginLeft: 55, grid: true, x: { label: `${labelOf(rank)}, ${one.name}`, domain: [low, top], nice: true },
      y: { label: `${labelOf(rank)}, ${other.name}`, domain: [low, top], nice: true },
      marks: [Plot.line([[low, low], [top, top]], { stroke: "currentColor", strokeDasharray: "4" }),
        Plot.dot(inside, { ...channels, stroke: colors()[0], r: 3.5, strokeWidth: 1.5 }),
        Plot.tip(inside, Plot.pointer({ ...channels, title: ({ trial, twin }) =>
          `draw ${trial.trial}\n${one.name}: ${written(trial[rank])}\n${other.name}: ${written(twin[rank])}` }))] }));
    comparisonPlot.append("p").attr("class", "note").text(
      `Draws that both have trained: ${pairs.length}, of which ${pairs.length - inside.length} are above the axes. Draws` +
      " of one number share the values that both spaces draw alike, because the studies have one" +
      " seed. Below the dashed line the second study is lower.");
  }

  function differenceOf(one, other) {
    if (one === other) return "Choose two different studies.";
    const [first, second] = pair;
    const found = data.pairs.find(([i, j]) => (i === first && j === second) || (i === second && j === first));
    if (!found) return "No difference: it takes two selected trials that were tested on the same sequences, at least two.";
    const sign = found[0] === first ? 1 : -1;
    const [value, ...ends] = found.slice(2).map((number) => (number === null ? null : sign * number));
    const [low, high] = ends.sort(d3.ascending);
    return `Test NLL, pooled: ${one.name} minus ${other.name} is ${value.toFixed(3)} (95 % of resampled` +
      ` test sequences, the same for both: ${low.toFixed(3)} to ${high.toFixed(3)}).`;
  }

  // ---- All together
  function show(place, node) {
    place.selectAll("*").remove();
    place.append(() => node);
    // The trial that a pointer is at is the drawing's value.
    node.addEventListener("click", () => {
      const at = node.value;
      if (at) choose(at.row || at);
    });
  }

  function choose(row) {
    shown.chosen = shown.chosen === row ? null : row;
    redraw();
    restyle();
  }

  function redraw() {
    drawTable();
    drawScatter();
    drawCurves();
  }

  function update() {
    drawParallel();
    redraw();
  }

  function drawAll() {
    update();
    drawComparison();
  }

  drawAll();
  let drawnAt = width();
  addEventListener("resize", () => {
    if (width() === drawnAt) return;
    drawnAt = width();
    drawAll();
  });
  dark.addEventListener("change", drawAll);
})();
