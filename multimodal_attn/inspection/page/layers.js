/** What a card unfolds: the heads of every layer of self-attention, and rollout. It is unpacked when it is opened. */

const units = { picture: "patches", recording: "steps", text: "tokens" };

/** The closed panel of an example; null where the model has no such layers. */
function layersOf(example) {
  const { layers } = example.about;
  if (!layers || !$(`layers-${example.number}`)) return null; // of a page that would be too large, the last have none
  const told = layers.map(([part, heads]) => `${part} ${heads.length} ${heads.length > 1 ? "layers" : "layer"} × ${Math.max(...heads)} heads`);
  const node = make("details", { class: "layers" }, make("summary", {}, make("b", {}, "Self-attention"), `: ${told.join(", ")}`));
  const panel = { node, draw() {}, select() {} };
  node.addEventListener("toggle", () => {
    if (!node.open || panel.opened) return;
    panel.opened = true;
    Layers.open(example)
      .then((opened) => {
        Object.assign(panel, { draw: () => opened.draw(), select: (index) => opened.select(index) });
        node.append(opened.node);
        opened.draw();
      })
      .catch((error) => node.append(make("p", { class: "no" }, `cannot draw the layers: ${error.message}`)));
  });
  return panel;
}

/** The opened panel: a tab for each part, and one for rollout. */
class Layers {
  static async open(example) {
    const data = read(`layers-${example.number}`);
    for (const part of data.parts) part.codes = await inflate(part.data);
    const rollout = new Maps(data.rollout, example.data.hypotheses[0].words, await unpack(data.rollout));
    return new Layers(example, data, rollout);
  }

  constructor(example, data, rollout) {
    this.tabs = [...data.parts.map((part) => new PartOfLayers(example, part, data.figures)), new Rollout(example, rollout)];
    this.buttons = this.tabs.map((tab, i) =>
      make("button", { type: "button", onclick: () => this.show(i), onkeydown: (event) => walk(event, i, this.buttons) }, tab.name),
    );
    this.pane = make("div");
    this.node = make("div", {}, make("div", { class: "tabs", role: "group", "aria-label": "Layers of" }, ...this.buttons), this.pane);
    this.show(0);
  }

  show(index) {
    this.tab = this.tabs[index];
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === index));
    this.pane.replaceChildren(this.tab.node);
    this.tab.draw();
  }

  draw() {
    this.tab.draw();
  }
  select(index) {
    this.tab.select?.(index);
  }
}

/** The heads of an encoder or a decoder: all as small matrices, one large, and a row of it over what is read. */
class PartOfLayers {
  constructor(example, part, names) {
    Object.assign(this, { example, part, names, layer: part.heads.length - 1, head: 0, cell: null });
    this.name = `${part.part} (${part.heads.length} × ${Math.max(...part.heads)})`;
    this.cells = part.extra + part.shape[0] * part.shape[1];
    const view = views[example.about.view];
    const pick = (cell) => this.read(cell);
    const decoder = part.part === "decoder";
    this.writes = decoder ? example.data.hypotheses[0].tokens : null;
    const inputs = decoder ? ["⟨start⟩", ...this.writes.slice(0, -1)] : null;
    this.unit = decoder ? "tokens" : units[example.about.view];
    this.reader = decoder ? new TokenReader(inputs, part, pick) : new view.Reader(example.data, part, pick);
    this.small = part.heads.map((heads, layer) =>
      Array.from({ length: heads }, (_, head) =>
        make("button", { class: "head-map", type: "button", onclick: () => this.choose(layer, head) }, make("canvas", { "aria-hidden": "true" })),
      ),
    );
    const all = this.small.flat();
    all.forEach((button, i) => button.addEventListener("keydown", (event) => walk(event, i, all)));
    const most = Math.max(...part.heads);
    const grid = make(
      "div",
      { class: "heads", role: "group", "aria-label": `heads of the ${part.part}` },
      make("span", {}),
      ...Array.from({ length: most }, (_, head) => make("span", {}, String(head + 1))),
      ...this.small.flatMap((row, layer) => [
        make("span", { class: "layer" }, `layer ${layer + 1}`),
        ...row,
        ...Array.from({ length: most - row.length }, () => make("span", {})),
      ]),
    );
    grid.style.setProperty("--heads", most);
    this.canvas = make("canvas", { role: "img" });
    this.row = make("div", { class: "rows", hidden: true });
    this.matrix = make(
      "div",
      { class: "matrix square", onmousemove: (event) => this.hover(event) },
      this.canvas,
      this.row,
    );
    this.caption = make("p", { class: "head-figures" });
    this.said = make("p", { class: "said", role: "status" });
    this.node = make(
      "div",
      { class: "part" },
      grid,
      make("div", { class: "large" }, this.matrix, this.caption),
      make("div", { class: "reading" }, this.reader.node, this.said),
      make("p", { class: "how" }, this.how()),
    );
  }

  /** What the matrices are, and what they are not. */
  how() {
    const { extra, factor, part, shape } = this.part;
    const pooled =
      factor === 1
        ? ""
        : shape[0] > 1
          ? ` To keep the page small, ${factor} × ${factor} patches are one cell here.`
          : ` To keep the page small, ${factor} ${this.unit} in a row are one cell here.`;
    const first = extra ? " The first row and column are the class token." : "";
    const causal = part === "decoder" ? " Tokens are what the decoder had read of the first hypothesis; each reads itself and those before it." : "";
    return `Rows read columns. Each matrix has a scale of its own, up to its largest weight.${first}${causal}${pooled} Figures are of the weights as they were.`;
  }

  weights(layer, head) {
    const { heads, codes, levels } = this.part;
    const size = this.cells ** 2;
    const start = size * (heads.slice(0, layer).reduce((a, b) => a + b, 0) + head);
    return Float32Array.from(codes.subarray(start, start + size), (code) => (code / levels) ** 2);
  }

  figures(layer, head) {
    const values = this.part.measured[layer][head];
    const offset = values.at(-1);
    const at = Array.isArray(offset) ? offset.map(signed).join(", ") : signed(offset);
    const texts = {
      entropy: (x) => `entropy ${x}`,
      distance: (x) => `distance ${x} ${this.unit}`,
      positional: (x) => `positional ${x} (peak at ${at})`,
      previous: (x) => `on the one before ${x}`,
      sink: (x) => `sink ${x}`,
    };
    return this.names.flatMap((name, i) => (values[i] === null ? [] : [texts[name](values[i])])).join(" · ");
  }

  draw() {
    this.small.forEach((row, layer) =>
      row.forEach((button, head) => {
        const values = this.weights(layer, head);
        paint(button.firstChild, null, values, this.cells, this.cells, largest(values) || 1);
        const told = `layer ${layer + 1}, head ${head + 1}: ${this.figures(layer, head)}`;
        Object.assign(button, { title: told, ariaLabel: told });
      }),
    );
    this.choose(this.layer, this.head);
  }

  choose(layer, head) {
    Object.assign(this, { layer, head, values: this.weights(layer, head) });
    this.small.forEach((row, l) => row.forEach((button, h) => button.setAttribute("aria-pressed", l === layer && h === head)));
    paint(this.canvas, null, this.values, this.cells, this.cells, largest(this.values) || 1);
    this.canvas.setAttribute("aria-label", `weights of layer ${layer + 1}, head ${head + 1}, ${this.cells} by ${this.cells} cells`);
    this.caption.replaceChildren(make("b", {}, `layer ${layer + 1}, head ${head + 1}`), ` · ${this.figures(layer, head)}`);
    this.read(this.cell ?? (this.writes ? this.cells - 1 : this.sharpest()));
  }

  /** The cell with the sharpest row. */
  sharpest() {
    let best = 0;
    for (let i = 0; i < this.values.length; i++) if (this.values[i] > this.values[best]) best = i;
    return Math.floor(best / this.cells);
  }

  /** What one cell reads. */
  read(cell) {
    this.cell = cell;
    const row = this.values.subarray(cell * this.cells, (cell + 1) * this.cells);
    const most = row.indexOf(largest(row));
    this.row.hidden = false;
    Object.assign(this.row.style, { top: percent(cell / this.cells), height: percent(1 / this.cells) });
    this.reader.paint(row, cell);
    const name = (each) => this.reader.names(each);
    const { factor } = this.part;
    const next = this.writes ? `, to write ${this.writes.slice(cell * factor, (cell + 1) * factor).join(" ")},` : "";
    this.said.replaceChildren(make("b", {}, name(cell)), `${next} reads most ${most === cell ? "itself" : name(most)}, weight ${short(row[most])}`);
  }

  hover(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const at = (place, start, size) => Math.floor(((place - start) / size) * this.cells);
    const [cell, column] = [at(event.clientY, box.top, box.height), at(event.clientX, box.left, box.width)];
    if (cell < 0 || cell >= this.cells || column < 0 || column >= this.cells) return;
    this.read(cell);
    this.matrix.title = `${this.reader.names(cell)} on ${this.reader.names(column)}: ${short(this.values[cell * this.cells + column])}`;
  }
}

/** What each word is made of: by the map that the page shows, and by rollout through all layers down to the source. */
class Rollout {
  constructor(example, maps) {
    Object.assign(this, { example, maps, name: "rollout" });
    const view = views[example.about.view];
    const whole = { shape: view.shape?.(example.data) ?? [1, maps.size], extra: 0, factor: 1 };
    this.readers = [0, 1].map(() => new view.Reader(example.data, whole, () => {}));
    this.words = example.data.hypotheses[0].words.map(([word], i) =>
      make("button", { class: "source-token", type: "button", onmouseenter: () => example.choose(i), onfocus: () => example.choose(i), onkeydown: (event) => walk(event, i, this.words) }, word),
    );
    this.said = make("p", { class: "said", role: "status" });
    const figure = (title, reader) => make("figure", {}, make("figcaption", {}, title), reader.node);
    this.node = make(
      "div",
      { class: "rollout" },
      make("div", { class: "source", role: "group", "aria-label": "Words" }, ...this.words),
      make("div", { class: "beside" }, figure("attention map of the word", this.readers[0]), figure("rollout through all layers", this.readers[1])),
      this.said,
      make("p", { class: "how" }, "Rollout (Abnar & Zuidema 2020) multiplies the weights of all layers, averaged over heads, and keeps half of every state as it was. It is of the first hypothesis. Each picture has a scale of its own, up to its largest weight."),
    );
  }

  draw() {
    this.select(this.example.chosen ?? 0);
  }

  select(index) {
    const { words } = this.example.data.hypotheses[0];
    if (index === null || index >= words.length || this.example.rank) return;
    this.words.forEach((button, i) => button.setAttribute("aria-pressed", i === index));
    const own = this.example.data.hypotheses[0].maps.word(index);
    const through = this.maps.token(index);
    this.readers[0].paint(own, null);
    this.readers[1].paint(through, null);
    const most = (map, reader) => `${reader.names(map.indexOf(largest(map)))} (${short(largest(map))})`;
    this.said.replaceChildren(make("b", {}, words[index][0]), ` · most by the map: ${most(own, this.readers[0])} · most by rollout: ${most(through, this.readers[1])}`);
  }
}

const signed = (x) => (x > 0 ? `+${x}` : String(x).replace("-", "−"));

/** Tokens that are shaded by how much of them is read; those of one cell together. */
class TokenReader {
  constructor(tokens, { factor }, pick) {
    Object.assign(this, { tokens, factor });
    this.buttons = tokens.map((token, p) =>
      make(
        "button",
        {
          class: "source-token",
          type: "button",
          tabindex: p ? -1 : 0,
          onmouseenter: () => pick(Math.floor(p / factor)),
          onfocus: () => pick(Math.floor(p / factor)),
          onkeydown: (event) => walk(event, p, this.buttons),
        },
        token,
      ),
    );
    this.node = make("div", { class: "source", role: "group", "aria-label": "Tokens" }, ...this.buttons);
  }

  names(cell) {
    return this.tokens.slice(cell * this.factor, (cell + 1) * this.factor).join(" ");
  }

  paint(row, cell) {
    const limit = largest(row) || 1;
    this.buttons.forEach((button, p) => {
      const at = Math.floor(p / this.factor);
      shade(button, row[at], limit);
      button.classList.toggle("reads", at === cell);
    });
  }
}
