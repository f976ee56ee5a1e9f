/** A source text, each target token's weights on it as a matrix, and links between the words of both. */
views.text = class {
  static gamma = 1;
  static legend = "weight of a source token";
  static controls = [];
  static Reader = class extends TokenReader {
    constructor(data, part, pick) {
      super(data.source, part, pick);
    }
  };

  constructor(example) {
    Object.assign(this, { example, hint: "Choose a word of either text to see what it is linked to." });
    const { data, hypothesis, maps } = example;
    this.buttons = hypothesis.words.map((_, i) => example.button(i));
    hypothesis.copied.forEach((i) => this.buttons[i].classList.add("copied"));
    // One stop for Tab, arrows within: else a long source would stand between two words of the target.
    this.sources = data.source.map((token, s) =>
      make(
        "button",
        {
          class: "source-token",
          type: "button",
          tabindex: s ? -1 : 0,
          onmouseenter: () => this.link(s),
          onfocus: () => this.link(s),
          onclick: () => this.link(s),
          onkeydown: (event) => walk(event, s, this.sources),
        },
        token,
      ),
    );
    this.canvas = make("canvas", {
      role: "img",
      "aria-label": `attention of ${maps.tokens} tokens over ${maps.size} source tokens`,
    });
    this.row = make("div", { class: "rows", hidden: true });
    this.column = make("div", { class: "column", hidden: true });
    this.matrix = make(
      "div",
      { class: "matrix", onmousemove: (event) => this.hover(event) },
      this.canvas,
      this.row,
      this.column,
      ...Object.entries(hypothesis.links).flatMap(([i, ranges]) => ranges.map((range) => this.truth(i, range))),
    );
    const names = (kind, tokens) =>
      make("div", { class: kind, "aria-hidden": "true" }, ...tokens.map((token) => make("span", { class: token.length > 2 && "long" }, token)));
    const table = make(
      "div",
      { class: "table" },
      names("across", data.source),
      names("down", hypothesis.tokens),
      this.matrix,
    );
    table.style.setProperty("--columns", Math.max(maps.size, 1));
    table.style.setProperty("--rows", Math.max(maps.tokens, 1));
    this.node = make(
      "div",
      { class: "text" },
      make("div", { class: "player", role: "group", "aria-label": "Words of the text" }, ...this.buttons),
      make("div", { class: "source", role: "group", "aria-label": "Tokens of the source" }, ...this.sources),
      example.blank ? make("p", { class: "how" }, "No map: this model has no attention.") : make("div", { class: "scroller" }, table),
    );
    this.ready = Promise.resolve();
  }

  /** A frame around the source tokens that a word truly comes from. */
  truth(index, [first, stop]) {
    const { maps } = this.example;
    const [, top, bottom] = maps.words[index];
    const frame = make("div", { class: "truth" });
    Object.assign(frame.style, {
      left: percent(first / maps.size),
      width: percent((stop - first) / maps.size),
      top: percent(top / maps.tokens),
      height: percent((bottom - top) / maps.tokens),
    });
    return frame;
  }

  draw() {
    paintMatrix(this.canvas, this.example.maps);
  }

  first() {
    return this.example.sharpest();
  }

  /** Which source tokens a word reads; of one that was copied, from where. */
  select(index) {
    this.row.hidden = index === null;
    this.column.hidden = true;
    this.buttons.forEach((button) => button.removeAttribute("style"));
    this.sources.forEach((source) => {
      source.removeAttribute("style");
      source.classList.remove("copied");
    });
    if (index === null || this.example.blank) return;
    const { maps } = this.example;
    const [, first, stop] = maps.words[index];
    Object.assign(this.row.style, {
      top: percent(first / maps.tokens),
      height: percent((stop - first) / maps.tokens),
    });
    const map = maps.word(index);
    this.sources.forEach((source, s) => shade(source, map[s], limitOf(map)));
    if (this.example.hypothesis.copied.includes(index)) this.sources[map.indexOf(largest(map))]?.classList.add("copied");
  }

  /** Which words read a source token. */
  link(s) {
    if (this.example.blank) return;
    const { data, maps, hypothesis } = this.example;
    this.example.choose(null);
    const weights = maps.words.map((_, i) => maps.word(i));
    this.buttons.forEach((button, i) => shade(button, weights[i][s], limitOf(weights[i])));
    this.column.hidden = false;
    Object.assign(this.column.style, { left: percent(s / maps.size), width: percent(1 / maps.size) });
    const most = weights.reduce((best, map, i) => (map[s] > (weights[best]?.[s] ?? -1) ? i : best), -1);
    this.example.say(
      make("b", {}, data.source[s]),
      most < 0 ? " · no word reads it" : ` · read most by ${hypothesis.words[most][0]}, weight ${short(weights[most][s])}`,
    );
  }

  hover(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const { data, hypothesis, maps } = this.example;
    const row = Math.floor(((event.clientY - box.top) / box.height) * maps.tokens);
    const s = Math.floor(((event.clientX - box.left) / box.width) * maps.size);
    if (row < 0 || row >= maps.tokens || s < 0 || s >= maps.size) return;
    const word = maps.wordOf(row);
    if (word >= 0) this.example.choose(word);
    this.matrix.title = `${hypothesis.tokens[row]} on ${data.source[s]}: ${short(maps.token(row)[s])}`;
  }

  compare(index) {
    const map = this.example.maps.word(index);
    const copied = this.example.hypothesis.copied.includes(index);
    return [copied ? "copied from " : "most on ", make("b", {}, this.example.data.source[map.indexOf(largest(map))] ?? "nothing")];
  }

  press(index) {
    this.example.choose(index);
  }
};
