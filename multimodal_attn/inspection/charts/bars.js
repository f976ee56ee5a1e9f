/** A bar for each token, of one number, or a stack of several shares by name. */
charts.bars = class {
  constructor(example, { title, about, data }) {
    const { tokens } = example.hypothesis;
    const shares = Array.isArray(data) ? { "": data } : data;
    const names = Object.keys(shares);
    const said = (token) => names.map((name) => `${name} ${shares[name][token].toFixed(2)}`.trim()).join(", ");
    const stack = (token) => names.map((name) => make("i", { style: { height: percent(shares[name][token]) } }));
    this.example = example;
    this.bars = tokens.map((text, token) =>
      make(
        "div",
        { class: "bar-of", title: `${text}: ${said(token)}`, onmouseenter: () => this.point(token) },
        make("div", { class: names.length > 1 ? "stack many" : "stack" }, ...stack(token)),
        make("span", {}, text),
      ),
    );
    const legend = names.length > 1 ? names.map((name) => make("span", { class: "share" }, make("i"), name)) : [];
    const values = tokens.map((text, token) => `${text} ${said(token)}`).join(names.length > 1 ? "; " : ", ");
    this.node = make(
      "div",
      { class: "chart" },
      make("p", {}, make("b", {}, title), ": ", make("span", { class: "shares" }, ...legend), about),
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
