/** How far the decoder let attention through at each token: a bar each, where the model has such a gate. */
class Gate {
  constructor(example) {
    const { gate, gate_name: name, tokens } = example.hypothesis;
    this.example = example;
    this.bars = gate.map((value, token) =>
      make(
        "div",
        { class: "bar-of", title: `${tokens[token]}: ${value.toFixed(2)}`, onmouseenter: () => this.point(token) },
        make("i", { style: { height: percent(value) } }),
        make("span", {}, tokens[token]),
      ),
    );
    const values = gate.map((value, token) => `${tokens[token]} ${value.toFixed(2)}`).join(", ");
    const said = `${name || "gate"} of each token: ${values}`;
    this.node = make(
      "div",
      { class: "gate" },
      make("p", {}, `${name || "gate"}, from 0 to 1`),
      make("div", { class: "bars", role: "img", "aria-label": said }, ...this.bars),
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
}
