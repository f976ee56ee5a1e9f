/** Arrow keys, Home and End among buttons that stand in a row. */
function walk(event, index, buttons) {
  const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  buttons[clamp(to, 0, buttons.length - 1)].focus();
}

/** One card. It is filled when it comes near the view and emptied when it is far from it again. */
class Example {
  constructor(number, about) {
    Object.assign(this, { number, about, rank: 0, chosen: null, mounted: false });
    this.find = [about.key, about.text, ...about.references].join("\n").toLowerCase();
    this.node = make("article", { class: "example", "data-number": number, "aria-label": about.text || about.key });
  }

  async mount() {
    if (this.mounted) return;
    this.mounted = true;
    try {
      this.data ??= read(`example-${this.number}`);
      this.head = make("div");
      this.body = make("div");
      this.said = make("p", { class: "said", role: "status" });
      this.slider = this.ranks();
      this.reference = make("div", { class: "references" });
      this.layers = layersOf(this);
      this.parts = [this.head, this.slider, this.reference, this.body, this.said, this.layers?.node ?? null].filter((part) => part !== null);
      await this.show(this.rank);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Draws the hypothesis of this rank; a word that it shares with the one before stays chosen. */
  async show(rank) {
    const hypothesis = this.data.hypotheses[rank];
    this.rank = rank;
    hypothesis.maps ??= new Maps(hypothesis.weights, hypothesis.words, await unpack(hypothesis.weights));
    if (!this.mounted || this.rank !== rank) return; // gone again, or on to the next, while it was unpacked
    const name = (which) => which?.words[this.chosen]?.[0];
    if (name(hypothesis) !== name(this.hypothesis)) this.chosen = null;
    this.hypothesis = hypothesis;
    this.maps = hypothesis.maps;
    const view = new views[this.about.view](this);
    await view.ready;
    if (!this.mounted || this.rank !== rank) return;
    const held = this.body.contains(document.activeElement);
    this.view?.stop?.();
    this.view = view;
    this.charts = hypothesis.charts.map((chart) => new charts[chart.script](this, chart));
    this.head.replaceChildren(...this.headline());
    this.reference.replaceChildren(compared(this.about.references, hypothesis));
    this.body.replaceChildren(view.node, ...this.charts.map((chart) => chart.node));
    // Whole at once: a card never shrinks on its way.
    if (!this.node.firstChild) this.node.replaceChildren(...this.parts);
    this.node.style.minHeight = "";
    this.tellRank();
    this.chosen ??= view.first?.() ?? null;
    this.draw();
    if (held) view.buttons[this.chosen ?? 0]?.focus({ preventScroll: true });
  }

  unmount() {
    if (!this.mounted || this.node.contains(document.activeElement) || this.view?.playing) return;
    this.node.style.minHeight = `${this.node.offsetHeight}px`; // or everything below would jump
    this.node.replaceChildren();
    this.mounted = false;
    this.view = null;
  }

  fail(error) {
    this.node.replaceChildren(make("p", { class: "no" }, `cannot draw ${this.about.key}: ${error.message}`));
  }

  /** The word whose map has the highest peak, among some words or all. */
  sharpest(some = []) {
    const { peak, words } = this.hypothesis;
    const among = some.length ? some : words.map((_, i) => i);
    return among.reduce((best, i) => (peak[0][i] > peak[0][best] ? i : best), among[0] ?? null);
  }

  headline() {
    const { key, measures } = this.about;
    const { text, words, score, flags } = this.hypothesis;
    this.title = words.map(([word], i) => make("span", { onmouseenter: () => this.choose(i) }, word));
    const title = this.title.length
      ? this.title.flatMap((span, i) => (i ? [" ", span] : [span]))
      : [make("span", { class: "empty" }, text || "(empty hypothesis)")];
    // Measures belong to the best hypothesis, which is what examples are sorted by.
    const known = this.rank ? [] : overview.measures.filter(([name]) => !["score", "words"].includes(name) && measures[name] !== null);
    return [
      make("h2", {}, ...title),
      make(
        "div",
        { class: "meta" },
        make("a", { href: `#${encodeURIComponent(key)}`, "aria-label": `link to example ${key}` }, key),
        make("span", {}, `score ${score === null ? "n/a" : score}`),
        ...flags.map((flag) => make("span", { class: "flag" }, flag)),
        ...known.map(([name, label]) => make("span", { class: "measure" }, `${label} ${measures[name]}`)),
      ),
    ];
  }

  /** The slider over what the search found; null where that is a single text. */
  ranks() {
    const { hypotheses } = this.data;
    if (hypotheses.length < 2) return null;
    const input = make("input", {
      type: "range",
      min: 1,
      max: hypotheses.length,
      oninput: (event) => this.show(event.target.value - 1).catch((error) => this.fail(error)),
    });
    return make("label", { class: "ranks" }, "hypothesis", input, make("output"));
  }

  tellRank() {
    if (!this.slider) return;
    const { hypotheses, found } = this.data;
    const more = found > hypotheses.length ? `, ${found - hypotheses.length} more found` : "";
    const [input, output] = this.slider.children;
    input.value = this.rank + 1;
    input.setAttribute("aria-valuetext", `${this.rank + 1} of ${hypotheses.length}: ${this.hypothesis.text}`);
    output.textContent = `${this.rank + 1} of ${hypotheses.length}${more}`;
  }

  nextRank() {
    if (this.slider) this.show((this.rank + 1) % this.data.hypotheses.length).catch((error) => this.fail(error));
  }

  measure(name, word) {
    const rows = this.hypothesis[name];
    return (rows[settings.head] ?? rows[0])[word];
  }

  /** The button of a word, with a picture above its name and a mark behind it; drawing fills in its numbers. */
  button(index, picture = null, mark = null) {
    const [word] = this.hypothesis.words[index];
    return make(
      "button",
      {
        class: "word",
        type: "button",
        "data-word": index,
        title: word,
        onmouseenter: () => this.choose(index),
        onfocus: () => this.choose(index),
        onclick: () => this.view.press(index),
        onkeydown: (event) => walk(event, index, this.view.buttons),
      },
      picture,
      make("span", { class: "name" }, word, mark),
      ...Array.from({ length: 4 }, () => make("span", { class: "numbers" })),
    );
  }

  /** Whether there is no attention to show, as of a recurrent language model or of given times. */
  get blank() {
    const [peaks] = this.hypothesis.peak;
    return peaks.length > 0 && peaks.every((peak) => peak === 0);
  }

  choose(index) {
    if (index === this.chosen && index !== null) return;
    this.chosen = index;
    this.select();
  }

  /** Paints everything anew, after a setting has changed. */
  draw() {
    if (!this.view) return;
    this.view.buttons.forEach((button, i) => {
      const [entropy, peak] = [this.measure("entropy", i), this.measure("peak", i)];
      const sure = this.hypothesis.confidence[i];
      const numbers = this.blank ? [] : [`entropy ${entropy.toFixed(2)}`, `peak ${short(peak)}`];
      if (sure !== undefined) numbers.push(`confidence ${Math.round(100 * sure)} %`);
      numbers.push(...this.flat(i));
      button.querySelectorAll(".numbers").forEach((line, n) => (line.textContent = numbers[n] ?? ""));
      button.setAttribute("aria-label", [this.hypothesis.words[i][0], ...numbers].join(", "));
    });
    this.view.draw();
    this.select();
    this.layers?.draw();
  }

  select() {
    if (!this.view) return;
    this.view.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === this.chosen));
    this.title.forEach((span, i) => span.classList.toggle("chosen", i === this.chosen));
    this.view.select(this.chosen);
    this.charts.forEach((chart) => chart.select(this.chosen));
    this.layers?.select(this.chosen);
    this.say(...(this.chosen === null ? [this.view.hint] : this.describe(this.chosen)));
  }

  say(...parts) {
    this.said.replaceChildren(...parts);
  }

  /** What to say of a map that is as good as uniform. */
  flat(index) {
    return this.measure("entropy", index) >= overview.nearlyUniform ? ["nearly uniform"] : [];
  }

  describe(index) {
    const word = make("b", {}, this.hypothesis.words[index][0]);
    if (this.blank) return this.hypothesis.heard ? [word, " · ", ...this.view.compare(index)] : [word];
    const peak = this.measure("peak", index);
    const times = short(peak * this.maps.size);
    return [
      word,
      ` · entropy ${this.measure("entropy", index).toFixed(2)} · peak ${short(peak)}, ${times} times a uniform map's · `,
      ...this.flat(index).map((words) => `${words}: it points nowhere · `),
      ...this.view.compare(index),
    ];
  }
}
