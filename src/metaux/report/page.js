"use strict";
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const root = document.documentElement;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);

  // Colours of the figures, which are made for light paper, on dark.
  const DARK = {
    "#000000": "#f2efea", "#0072b2": "#4ba6e8", "#e69f00": "#f0b13c", "#009e73": "#2fc79b", "#d55e00": "#ff8a4c",
    "#56b4e9": "#8ad0f7", "#cc79a7": "#e19cc3", "#ffffff": "#161719", "#8c6d31": "#c9a765", "#6b6ecf": "#a3a5f2",
  };
  const GLYPHS = {
    circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", cross: "✚", x: "✖", star: "★", pentagon: "⬟",
    hexagon: "⬢", bowtie: "⧓",
  };
  let theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

  // Only what is a colour by its key: a class may be called #ffffff.
  const inked = (value, colour = false) => {
    if (typeof value === "string") return (colour && theme === "dark" && DARK[value.toLowerCase()]) || value;
    // A stop of a colour scale is a number and a colour.
    if (Array.isArray(value)) return typeof value.at(-1) === "number" ? value : value.map((own) => inked(own, colour));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, inked(own, /^color(scale)?$/.test(key))]));
    return value;
  };

  const themed = (layout) => {
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const made = inked(layout);
    made.font = { ...made.font, color: colour("--ink"), family: getComputedStyle(document.body).fontFamily };
    made.hoverlabel = { bgcolor: colour("--panel"), bordercolor: colour("--soft"), font: { color: colour("--ink") }, align: "left" };
    for (const key of ["xaxis", "yaxis"]) made[key] = { ...made[key], gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--soft") };
    return made;
  };

  // Which option each selector of the page stands at.
  const chosen = {};
  const hiddenMethods = new Set();
  const figureOf = (name) => {
    const { group, figures } = data.charts[name];
    const option = group ? chosen[group] : "";
    if (option === undefined || figures[option]) return figures[option] || Object.values(figures)[0];
    const said = { text: "no seed in common with single task", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 };
    const hidden = { annotations: [said], xaxis: { visible: false }, yaxis: { visible: false } };
    return { data: [], layout: { ...Object.values(figures)[0].layout, ...hidden } };
  };

  // Numbers of a matrix whose cells are too narrow for them would run together.
  const fit = (element) => {
    const [trace] = element.data;
    if (!trace?.meta || !trace.text) return;
    const widest = 0.65 * trace.textfont.size * Math.max(...trace.text.flat().map((number) => number.length));
    const texttemplate = widest > element._fullLayout.xaxis._length / trace.text.length ? "" : "%{text}";
    if (texttemplate !== trace.texttemplate) Plotly.restyle(element, { texttemplate });
  };

  const draw = (element) => {
    const figure = figureOf(element.dataset.chart);
    const traces = inked(figure.data);
    for (const trace of traces) {
      if (trace.fill) trace.fillcolor = `${trace.line.color}26`;
      if (element.closest("#training")) trace.visible = !hiddenMethods.has(trace.legendgroup);
      if (trace.meta) trace.hovertext = trace.z.map((row, at) => row.map((_, to) => `true ${trace.meta[at]}<br>predicted ${trace.meta[to]}`));
    }
    Plotly.react(element, traces, themed(figure.layout), { displayModeBar: false, responsive: true, scrollZoom: false });
    if (!element.dataset.drawn) element.on("plotly_relayout", () => fit(element));
    element.dataset.drawn = "yes";
    fit(element);
  };
  const redraw = (wanted = () => true) => all(".chart[data-drawn]").filter(wanted).forEach(draw);

  // A chart is drawn when it comes near the window, so that the page opens at once.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
      if (entry.target.dataset.chart === "features") followHover(entry.target);
    }
  }, { rootMargin: "400px" });

  const setTheme = (name) => {
    theme = name;
    root.dataset.theme = name;
    byId("theme").textContent = name === "dark" ? "Light" : "Dark";
    byId("theme").setAttribute("aria-pressed", String(name === "dark"));
    redraw();
    drawKey();
  };
  byId("theme").addEventListener("click", () => setTheme(theme === "dark" ? "light" : "dark"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));

  const choose = (group, option) => {
    chosen[group] = option;
    redraw((element) => data.charts[element.dataset.chart].group === group);
    for (const element of all(`[data-group="${group}"]`)) element.hidden = element.dataset.option !== option;
    for (const element of all(`[data-name="${group}"]`)) element.textContent = option;
  };
  for (const select of all("[data-choose]")) {
    chosen[select.dataset.choose] = select.value;
    select.addEventListener("change", () => choose(select.dataset.choose, select.value));
  }
  for (const box of all("[data-method]")) {
    box.addEventListener("change", () => {
      hiddenMethods[box.checked ? "delete" : "add"](box.dataset.method);
      redraw((element) => element.closest("#training"));
    });
  }

  // The map of the test samples: method and colouring together are the option.
  const map = data.features;
  const colouring = () => document.querySelector("[name=colouring]:checked")?.value || "class";
  const mapMethod = () => byId("choose-features-method")?.value || Object.keys(map.rows)[0];
  const drawKey = () => {
    if (!map) return;
    const entries = map.keys[chosen.features] || [];
    byId("map-key").replaceChildren(...entries.map(([name, colour, symbol]) => {
      const item = document.createElement("li");
      const dot = document.createElement("i");
      dot.style.color = inked(colour, true);
      dot.textContent = GLYPHS[symbol];
      dot.setAttribute("aria-hidden", "true");
      item.append(dot, name);
      return item;
    }));
  };
  const inspect = (place) => {
    const row = map.rows[mapMethod()][place];
    const figure = figureOf("features");
    const text = figure.data[0].text[place].replace("<br>", ", ");
    const said = `Test sample ${row}: ${text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")}`;
    const cells = map.cells[row];
    byId("inspected").textContent = cells ? `${said}. ${map.columns.map((name, at) => `${name} ${cells[at]}`).join(", ")}` : said;
    byId("walk").value = place;
    byId("walk").setAttribute("aria-valuetext", said);
    const box = byId("thumbnail");
    const at = map.sprite?.places[row];
    box.setAttribute("aria-label", said);
    if (at === undefined) return;
    const { uri, across } = map.sprite;
    const size = box.clientWidth;
    box.style.backgroundImage = `url("${uri}")`;
    box.style.backgroundSize = `${size * across}px auto`;
    box.style.backgroundPosition = `-${size * (at % across)}px -${size * Math.floor(at / across)}px`;
  };
  const followHover = (element) => element.on("plotly_hover", (event) => inspect(event.points[0].pointNumber));
  if (map) {
    const update = () => {
      byId("walk").max = map.rows[mapMethod()].length - 1;
      const wanted = `${mapMethod()}/${colouring()}`;
      // A network without an auxiliary head tells no sub-classes.
      choose("features", map.keys[wanted] ? wanted : `${mapMethod()}/class`);
      drawKey();
    };
    byId("thumbnail").classList.toggle("without", !map.sprite);
    byId("walk").addEventListener("input", (event) => {
      inspect(Number(event.target.value));
      const element = document.querySelector("[data-chart=features]");
      if (element.dataset.drawn) Plotly.Fx.hover(element, [{ curveNumber: 0, pointNumber: Number(event.target.value) }]);
    });
    byId("choose-features-method")?.addEventListener("change", update);
    for (const radio of all("[name=colouring]")) radio.addEventListener("change", update);
    update();
  }

  // A picture, enlarged; the dialogue takes care of focus and of Escape.
  document.addEventListener("click", (event) => {
    const image = event.target.closest(".specimen")?.querySelector("img");
    if (!image) return;
    const dialogue = byId("enlarged");
    dialogue.querySelector("img").src = image.src;
    dialogue.querySelector("img").alt = image.alt;
    byId("enlarged-text").textContent = image.alt;
    dialogue.showModal();
  });

  // The numbers of the page as files.
  const formula = /^'*(?=[=+\-@\t\r\n＝＋－＠])(?![+-]\d+(\.\d*)?(e[+-]?\d+)?$)/i; // as in files.py
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (formula.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = ({ columns, rows }) => [columns, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
  const content = {
    json: () => ["everything.json", JSON.stringify(data.numbers, null, 1), "application/json"],
    comparison: () => ["comparison.csv", data.comparison_csv, "text/csv"],
  };
  for (const button of all("[data-download]")) {
    button.addEventListener("click", () => {
      const name = button.dataset.download;
      const [file, text, kind] = content[name] ? content[name]() : [`${name}.csv`, csv(data.numbers.tables[name]), "text/csv"];
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: kind }));
      link.download = file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  // Paper is light, narrow, and shows every chart and list; of the classes, those that are open.
  let before = theme;
  let folded = [];
  addEventListener("beforeprint", () => {
    before = theme;
    folded = all("details:not(.class, [open])");
    for (const element of folded) element.open = true;
    setTheme("light");
    for (const element of all(".chart")) {
      if (element.offsetParent === null) continue;
      draw(element);
      Plotly.relayout(element, { width: Math.min(element.clientWidth, 680) });
    }
  });
  addEventListener("afterprint", () => {
    for (const element of all(".chart[data-drawn]")) Plotly.relayout(element, { width: null, autosize: true });
    for (const element of folded) element.open = false;
    setTheme(before);
  });

  setTheme(theme);
  for (const element of all(".chart")) near.observe(element);
})();
