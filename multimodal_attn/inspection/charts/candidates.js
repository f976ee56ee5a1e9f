/** A row for each gap: the words that may stand there, the likeliest first, the true one framed. */
charts.candidates = class {
  constructor(example, { title, about, data }) {
    this.rows = data.map((gap, i) =>
      make(
        "li",
        { onmouseenter: () => example.choose(i) },
        ...gap.words.map(([word, probability]) =>
          make(
            "span",
            { class: word === gap.true ? "candidate true" : "candidate" },
            make("i", { style: { width: percent(probability) } }),
            `${word} ${probability < 0.01 ? "< 1" : Math.round(100 * probability)} %`,
          ),
        ),
        gap.true === null || gap.words.some(([word]) => word === gap.true) ? null : make("span", { class: "candidate true" }, gap.true),
      ),
    );
    this.node = make(
      "div",
      { class: "chart" },
      make("p", {}, make("b", {}, title), `: ${about}`),
      make("ol", { class: "candidates", "aria-label": title }, ...this.rows),
    );
  }

  select(index) {
    this.rows.forEach((row, i) => row.classList.toggle("chosen", i === index));
  }
};
