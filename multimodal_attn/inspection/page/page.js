const photos = overview.examples.some(({ kind }) => kind === "grid");

function legend() {
  const levels = [0, 0.25, 0.5, 0.75, 1];
  const weight = (level) => level ** (1 / settings.gamma);
  $("ticks").replaceChildren(
    ...levels.map((level) =>
      make("span", {}, settings.perWord ? `${short(100 * weight(level))}%` : short(pageLimit() * weight(level))),
    ),
  );
  // The ramp itself is even in colour: its ticks say which weight a colour stands for.
  const kind = settings.gamma < 1 ? "square-root" : "linear";
  $("legend-text").textContent = settings.perWord
    ? "Share of the word's own peak: each map is stretched by itself. Colours of different words cannot be compared, and a nearly uniform map looks sharp."
    : `Attention weight of one position${settings.head ? ` in head ${settings.head}` : ""}: one ${kind} scale for every map ` +
      `on this page. Cyan is the truth${photos ? ", the circle a map's peak" : ""}.`;
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
  else if (event.key === "Escape")
    (example ? [example] : examples.filter((e) => e.mounted)).forEach((e) => e.choose(null));
  else return;
  event.preventDefault();
}

function figures() {
  const shown = (value) => (value === null ? "n/a" : String(value));
  const all = new Map(overview.metrics);
  $("headline").append(
    ...overview.headline.map((name) => make("div", {}, make("dt", {}, name), make("dd", {}, shown(all.get(name))))),
  );
  // Roles, because the rows flow in columns, and what is laid out otherwise is no table for a screen reader.
  const cell = (tag, role, text) => make(tag, { role, scope: tag === "th" ? "row" : null }, text);
  $("metrics").tBodies[0].append(
    ...overview.metrics.map(([name, value]) =>
      make("tr", { role: "row" }, cell("th", "rowheader", name), cell("td", "cell", shown(value))),
    ),
  );
  $("metrics").setAttribute("role", "table");
  $("headline").hidden = !overview.headline.length;
  $("figures").hidden = !overview.metrics.length;
  $("figures-name").textContent = `all ${overview.metrics.length} figures`;
  $("alarms").append(...overview.alarms.map((text) => make("p", {}, text)));
  $("alarms").hidden = !overview.alarms.length;
}

function setUp() {
  figures();
  offerOrders();
  $("head").append(
    option(0, "mean of heads"),
    ...Array.from({ length: overview.heads }, (_, i) => option(i + 1, String(i + 1))),
  );
  $("head-label").hidden = overview.heads < 2;
  $("cells-label").hidden = !photos;
  $("hear-label").hidden = !known("late");

  $("head").addEventListener("change", (event) => {
    settings.head = Number(event.target.value);
    redraw();
  });
  $("cells").addEventListener("change", (event) => {
    settings.smooth = event.target.value === "smooth";
    redraw();
  });
  $("hear").addEventListener("change", (event) => {
    settings.truth = event.target.value === "true";
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

  const ramp = Float32Array.from({ length: 256 }, (_, i) => i / 255);
  const grey = photos ? new Uint8Array(1024).fill(128) : null;
  settings.gamma = grey ? 0.5 : 1; // photos: few cells are strong, and a linear scale would hide all others
  $("scale").value = grey ? "root" : "linear";
  paint(
    $("ramp"),
    grey,
    ramp.map((level) => level ** (1 / settings.gamma)),
    256,
    1,
    1,
  );
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

setUp();
