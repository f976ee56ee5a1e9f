/** The views that this page has examples of. */
const present = () => [...new Set(overview.examples.map(({ view }) => views[view]))];

function legend() {
  const levels = [0, 0.25, 0.5, 0.75, 1];
  const weight = (level) => level ** (1 / settings.gamma);
  $("ticks").replaceChildren(
    ...levels.map((level) =>
      make("span", {}, settings.perWord ? `${short(100 * weight(level))}%` : short(pageLimit() * weight(level))),
    ),
  );
  // The ramp itself is even in color: its ticks say which weight a color stands for.
  const kind = settings.gamma < 1 ? "square-root" : "linear";
  const colors = present().map(({ legend }) => legend);
  $("legend-text").textContent = settings.perWord
    ? "Share of the word's own peak: each map is stretched by itself. Colors of different words cannot be compared, and a nearly uniform map looks sharp."
    : `Color: ${colors.join(" or ")}${settings.head ? `, in head ${settings.head}` : ""}. ` +
      `One ${kind} scale for the whole page.${overview.truth ? " Cyan: the truth." : ""}`;
  $("legend-text").classList.toggle("alert", settings.perWord);
}

function redraw() {
  legend();
  for (const example of examples) if (example.mounted) example.draw();
}

function fromHash() {
  let key;
  try {
    key = decodeURIComponent(location.hash.slice(1));
  } catch {
    return;
  }
  const example = examples.find(({ about }) => about.key === key);
  if (!key || !example) return;
  if (example.node.hidden) showAll();
  for (const other of examples) other.node.classList.toggle("linked", other === example);
  settle(example.node);
}

/** Cards get their height only when they come near, so the target is looked up again until all above it have theirs. */
function settle(node) {
  let left = 12;
  const cancel = () => (left = 0); // the reader has taken over
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"])
    addEventListener(kind, cancel, { once: true, passive: true });
  const look = () => {
    if (left-- <= 0) return;
    node.scrollIntoView();
    setTimeout(look, 80);
  };
  look();
}

function step(direction) {
  const nodes = [...$("examples").children].filter((node) => byNode.has(node) && !node.hidden);
  const edge = matchMedia("(max-width: 46rem)").matches ? 20 : 140;
  const held = nodes.findIndex((node) => node.contains(document.activeElement));
  const seen = held >= 0 ? held : nodes.findIndex((node) => node.getBoundingClientRect().bottom > edge);
  const node = nodes[clamp(held < 0 && direction > 0 && scrollY < 20 ? 0 : seen + direction, 0, nodes.length - 1)];
  if (!node) return;
  byNode
    .get(node)
    .mount()
    .then(() => {
      node.scrollIntoView();
      (node.querySelector(".word") ?? node.querySelector("a"))?.focus({ preventScroll: true });
    });
}

function keys(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const example = byNode.get(event.target.closest?.(".example"));
  if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else if (event.key === "/") $("find").focus();
  else if (event.key === "n" && example) example.nextRank();
  else if (event.key === "p" && example?.view?.toggle) example.view.toggle();
  else if (switches[event.key]) switches[event.key].click();
  else if (event.key === "Escape")
    (example ? [example] : examples.filter((e) => e.mounted)).forEach((e) => e.choose(null));
  else return;
  event.preventDefault();
}

/** A figure's name for people; what it means and its name in metrics.json when one points at it. */
const named = (tag, { name, title, meaning }, attributes = {}) =>
  make(tag, { title: [meaning, name].filter(Boolean).join(" · "), ...attributes }, title);

function figures() {
  $("headline").append(
    ...overview.headline.map((figure) =>
      make(
        "div",
        {},
        named("dt", figure),
        make("dd", {}, figure.value),
        figure.interval &&
          make("dd", { class: "baseline", title: "interval, from resampling the examples" }, `95 %: ${figure.interval}`),
        figure.baseline && make("dd", { class: "baseline" }, figure.baseline),
      ),
    ),
  );
  // Roles, because the rows flow in columns, and what is laid out otherwise is no table for a screen reader.
  const row = (figure) =>
    make(
      "tr",
      { role: "row" },
      named("th", figure, { role: "rowheader", scope: "row" }),
      make("td", { role: "cell", title: figure.interval && `95 %: ${figure.interval}` }, figure.value),
    );
  for (const [group, members] of overview.figures)
    $("groups").append(
      make("table", { role: "table" }, make("caption", {}, group), make("tbody", {}, ...members.map(row))),
    );
  $("headline").hidden = !overview.headline.length;
  $("figures").hidden = !overview.figures.length;
  $("figures-name").textContent = `all ${overview.figures.flatMap(([, members]) => members).length} figures`;
  $("alarms").append(...overview.alarms.map((text) => make("p", {}, text)));
  $("alarms").hidden = !overview.alarms.length;
  $("top").hidden = !document.title && !overview.figures.length && !overview.alarms.length; // in a notebook
}

const switches = {}; // key -> what it switches

/**
 * What views can be told: `{ label, set, options: [value, text] pairs }`, or without options a switch that a `key`
 * turns too. What `needs` a measure is offered where an example has it.
 */
function addControls() {
  for (const control of present().flatMap(({ controls }) => controls)) {
    if (control.needs && !known(control.needs)) continue;
    const input = control.options
      ? make("select", {}, ...control.options.map(([value, text]) => option(value, text)))
      : make("input", { type: "checkbox", checked: true });
    input.addEventListener("change", () => {
      control.set(control.options ? input.value : input.checked);
      redraw();
    });
    if (control.key) switches[control.key] = input;
    const key = control.key ? make("kbd", {}, control.key) : null;
    $("controls").append(make("label", {}, `${control.label} `, input, key));
  }
}

function setUp() {
  examples.push(...overview.examples.map((about, number) => new Example(number, about)));
  for (const example of examples) byNode.set(example.node, example);
  figures();
  offerOrders();
  addControls();
  $("finding").hidden = examples.length < 2;
  $("head").append(
    option(0, "mean of heads"),
    ...Array.from({ length: overview.heads }, (_, i) => option(i + 1, String(i + 1))),
  );
  $("head-label").hidden = overview.heads < 2;
  $("head").addEventListener("change", (event) => {
    settings.head = Number(event.target.value);
    redraw();
  });
  $("scale").addEventListener("change", (event) => {
    settings.perWord = event.target.value === "word";
    settings.gamma = event.target.value === "root" ? 0.5 : 1;
    redraw();
  });
  document.addEventListener("keydown", keys);
  addEventListener("hashchange", fromHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // On a small screen the controls would fill half of it: they wait behind their name.
  const narrow = matchMedia("(max-width: 46rem)");
  const fold = () => ($("panel").open = !narrow.matches);
  narrow.addEventListener("change", fold);
  fold();

  settings.gamma = Math.min(1, ...present().map(({ gamma }) => gamma));
  $("scale").value = settings.gamma < 1 ? "root" : "linear";
  const gray = present().some(({ overGray }) => overGray) ? new Uint8Array(1024).fill(128) : null;
  const ramp = Float32Array.from({ length: 256 }, (_, i) => (i / 255) ** (1 / settings.gamma));
  paint($("ramp"), gray, ramp, 256, 1, 1);
  $("reference-marks").hidden = !overview.examples.some(({ references }) => references.length);
  legend();
  arrange();
  const near = new IntersectionObserver(
    (entries) =>
      entries.forEach(({ isIntersecting, target }) => {
        const example = byNode.get(target);
        if (isIntersecting) example.mount();
        else example.unmount();
      }),
    { rootMargin: "1200px 0px" },
  );
  examples.forEach(({ node }) => near.observe(node));
  fromHash();
}

document.addEventListener("DOMContentLoaded", setUp); // when all views and charts have put themselves in their lists
