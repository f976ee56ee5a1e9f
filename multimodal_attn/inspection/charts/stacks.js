/** A stack of shares for each token, the same colors in all. */
charts.stacks = class {
  constructor(example, { title, about, data }) {
    const { tokens } = example.hypothesis;
    const names = Object.keys(data);
    const said = (token) => names.map((name) => `${name} ${data[name][token].toFixed(2)}`).join(", ");
    this.example = example;
    this.stacks = tokens.map((text, token) =>
      make(
        "div",
        { class: "bar-of stack-of", title: `${text}: ${said(token)}`, onmouseenter: () => this.point(token) },
        make("div", { class: "stack" }, ...names.map((name) => make("i", { style: { height: percent(data[name][token]) } }))),
        make("span", {}, text),
      ),
    );
    const values = tokens.map((text, token) => `${text}: ${said(token)}`).join("; ");
    const legend = names.map((name) => make("span", { class: "stream" }, make("i"), name));
    this.node = make(
      "div",
      { class: "chart" },
      make("p", {}, make("b", {}, title), ": ", make("span", { class: "streams" }, ...legend), ` ${about}`),
      make("div", { class: "bars", role: "img", "aria-label": `${title}: ${values}` }, ...this.stacks),
    );
  }

  point(token) {
    const word = this.example.maps.wordOf(token);
    if (word >= 0) this.example.choose(word);
  }

  select(index) {
    const { maps } = this.example;
    this.stacks.forEach((stack, token) => stack.classList.toggle("chosen", index !== null && maps.wordOf(token) === index));
  }
};
