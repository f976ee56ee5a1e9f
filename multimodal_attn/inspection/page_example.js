/** One card. It is filled when it comes near the view and emptied when it is far from it again. */
class Example {
  constructor(number, about) {
    Object.assign(this, { number, about, chosen: null, mounted: false });
    this.find = [about.key, about.text, ...about.references].join("\n").toLowerCase();
    this.node = make("article", { class: "example", "data-number": number, "aria-label": about.text || about.key });
  }

  async mount() {
    if (this.mounted) return;
    this.mounted = true;
    this.data ??= read(`example-${this.number}`);
    const { weights, words } = this.data;
    const failed = (error) =>
      this.node.replaceChildren(make("p", { class: "no" }, `cannot draw ${this.about.key}: ${error.message}`));
    try {
      this.maps ??= new Maps(weights, words, await unpack(weights));
      if (!this.mounted) return; // gone again while it was unpacked
      this.view = this.data.kind === "grid" ? new Photo(this) : new Speech(this);
      this.node.replaceChildren(
        this.headline(),
        this.references(),
        this.view.node,
        (this.said = make("p", { class: "said", role: "status" })),
      );
      await this.view.ready;
      if (!this.mounted) return;
      this.chosen ??= this.first();
      this.draw();
    } catch (error) {
      failed(error);
    }
  }

  unmount() {
    if (!this.mounted || this.node.contains(document.activeElement) || this.view?.playing) return;
    this.node.style.minHeight = `${this.node.offsetHeight}px`; // or everything below would jump
    this.node.replaceChildren();
    this.mounted = false;
    this.view = null;
  }

  /** The word to show at first: one with a true box, else the sharpest. */
  first() {
    const known = Object.keys(this.data.boxes ?? {});
    if (this.data.kind !== "grid" || !this.data.words.length) return null;
    const peaks = this.data.peak[0];
    const among = known.length ? known.map(Number) : peaks.map((_, i) => i);
    return among.reduce((best, i) => (peaks[i] > peaks[best] ? i : best));
  }

  headline() {
    const { key, text, score, flags } = this.about;
    this.title = this.data.words.map(([word], i) => make("span", { onmouseenter: () => this.choose(i) }, word));
    const title = this.title.length
      ? this.title.flatMap((span, i) => (i ? [" ", span] : [span]))
      : [make("span", { class: "empty" }, text || "(empty hypothesis)")];
    return make(
      "div",
      {},
      make("h2", {}, ...title),
      make(
        "div",
        { class: "meta" },
        make("a", { href: `#${encodeURIComponent(key)}`, "aria-label": `link to example ${key}` }, key),
        make("span", {}, `score ${score === null ? "n/a" : score}`),
        ...flags.map((flag) => make("span", { class: "flag" }, flag)),
      ),
    );
  }

  references() {
    const [one, ...more] = this.about.references;
    if (one === undefined) return make("p", { class: "references" }, "no reference");
    if (!more.length) return make("p", { class: "references" }, `reference: ${one}`);
    return make(
      "details",
      { class: "references" },
      make("summary", {}, `reference: ${one} (+${more.length})`),
      make("ul", {}, ...more.map((text) => make("li", {}, text))),
    );
  }

  measure(name, word) {
    const rows = this.data[name];
    return (rows[settings.head] ?? rows[0])[word];
  }

  /** The button of a word; drawing fills in its numbers. */
  button(index, picture) {
    const [word] = this.data.words[index];
    const truth = this.data.boxes?.[index] ? "box" : this.data.times?.[index] ? "times" : "";
    const button = make(
      "button",
      {
        class: "word",
        type: "button",
        "data-word": index,
        title: word,
        onmouseenter: () => this.choose(index),
        onfocus: () => this.choose(index),
        onclick: () => this.view.press(index),
        onkeydown: (event) => this.walk(event, index),
      },
      picture,
      make(
        "span",
        { class: "name" },
        word,
        truth ? make("i", { title: `true ${truth} known` }, truth === "box" ? " ▢" : "") : null,
      ),
      make("span", { class: "numbers" }),
      make("span", { class: "numbers" }),
    );
    return button;
  }

  walk(event, index) {
    const buttons = this.view.buttons;
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    buttons[clamp(to, 0, buttons.length - 1)].focus();
  }

  choose(index) {
    if (index === this.chosen) return;
    this.chosen = index;
    this.select();
  }

  /** Paints everything anew, after a setting has changed. */
  draw() {
    if (!this.view) return;
    this.view.buttons.forEach((button, i) => {
      const [entropy, peak] = [this.measure("entropy", i), this.measure("peak", i)];
      const [first, second] = button.querySelectorAll(".numbers");
      first.textContent = `entropy ${entropy.toFixed(2)}`;
      second.textContent = `peak ${short(peak)}`;
      button.setAttribute(
        "aria-label",
        `${this.data.words[i][0]}, entropy ${entropy.toFixed(2)}, peak weight ${short(peak)}`,
      );
    });
    this.view.draw();
    this.select();
  }

  select() {
    if (!this.view) return;
    this.view.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === this.chosen));
    this.title.forEach((span, i) => span.classList.toggle("chosen", i === this.chosen));
    this.view.select(this.chosen);
    this.said.replaceChildren(...(this.chosen === null ? [this.view.hint] : this.describe(this.chosen)));
  }

  describe(index) {
    const peak = this.measure("peak", index);
    const times = short(peak * this.maps.size);
    return [
      make("b", {}, this.data.words[index][0]),
      ` · entropy ${this.measure("entropy", index).toFixed(2)} · peak ${short(peak)}, ${times} times a uniform map's · `,
      ...this.view.compare(index),
    ];
  }
}
