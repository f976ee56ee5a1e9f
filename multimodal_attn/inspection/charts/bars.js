/** A bar for each token. */
charts.bars = class {
  constructor(example, { title, about, data }) {
    const { tokens } = example.hypothesis;
    this.example = example;
    this.bars = data.map((value, token) =>
      make(
        "div",
        { class: "bar-of", title: `${tokens[token]}: ${value.toFixed(2)}`, onmouseenter: () => this.point(token) },
        make("i", { style: { height: percent(value) } }),
        make("span", {}, tokens[token]),
      ),
    );
    const values = data.map((value, token) => `${tokens[token]} ${value.toFixed(2)}`).join(", ");
    this.node = make(
      "div",
      { class: "chart" },
      make("p", {}, make("b", {}, title), `: ${about}`),
      make("div", { class: "bars", role: "img", "aria-label": `${title} of each token: ${values}` }, ...this.bars),
    );
  }

  point(token) {
    const word = this.example.maps.wordOf(token);
    if (word >= 0) this.example.choose(word);
  }

  select(index) {
    const { maps } = this.example;
    this.bars.forEach((bar, token) => bar.classList.toggle("chosen", index !== null && maps.wordOf(token) === index));
  }
};
