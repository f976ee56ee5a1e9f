/** The photo with the chosen word's map, and a strip of all words. */
class Photo {
  constructor(example) {
    Object.assign(this, { example, hint: "The photo without a map: choose a word." });
    const { data, hypothesis } = example;
    this.image = make("img", {
      src: data.photo,
      width: data.width,
      height: data.height,
      alt: `photo ${example.about.key}`,
    });
    this.canvas = make("canvas", { role: "img" });
    this.marks = make("div");
    this.thumbs = hypothesis.words.map(() => make("canvas", { "aria-hidden": "true" }));
    this.buttons = hypothesis.words.map((_, i) => example.button(i, this.thumbs[i]));
    this.node = make(
      "div",
      { class: "photo" },
      make("div", { class: "view" }, this.image, this.canvas, this.marks),
      make("div", { class: "strip", role: "group", "aria-label": "Words of the caption" }, ...this.buttons),
    );
    const scale = 448 / Math.max(data.width, data.height);
    this.size = [Math.round(data.width * scale), Math.round(data.height * scale)];
    this.small = this.size.map((side) => Math.round(side / 4));
    this.ready = this.image.decode().then(() => {
      this.grey = greyed(this.image, ...this.size);
      this.smallGrey = greyed(this.image, ...this.small);
    });
  }

  paint(canvas, grey, size, map) {
    const { rows, columns } = this.example.data;
    const values = enlarge(map, rows, columns, ...size, settings.smooth);
    paint(canvas, grey, values, ...size, settings.perWord ? largest(map) || 1 : pageLimit());
  }

  draw() {
    this.thumbs.forEach((thumb, i) => this.paint(thumb, this.smallGrey, this.small, this.example.maps.word(i)));
  }

  select(index) {
    this.canvas.hidden = index === null;
    this.marks.replaceChildren();
    if (index === null || !this.grey) return;
    const { data, hypothesis, maps } = this.example;
    const map = maps.word(index);
    this.paint(this.canvas, this.grey, this.size, map);
    for (const [left, top, right, bottom] of hypothesis.boxes[index] ?? [])
      this.marks.append(
        make("div", {
          class: "box",
          style: {
            left: percent(left),
            top: percent(top),
            width: percent(right - left),
            height: percent(bottom - top),
          },
        }),
      );
    const at = map.indexOf(largest(map));
    const [row, column] = [Math.floor(at / data.columns), at % data.columns];
    this.marks.append(
      make("div", {
        class: "peak",
        style: { left: percent((column + 0.5) / data.columns), top: percent((row + 0.5) / data.rows) },
      }),
    );
    this.canvas.setAttribute(
      "aria-label",
      `map of the word ${hypothesis.words[index][0]}: most weight in row ${row + 1} of ${data.rows}, column ${column + 1} of ${data.columns}`,
    );
  }

  compare(index) {
    const hit = this.example.hypothesis.hits[index];
    if (hit === undefined) return ["no true box known"];
    const verdict =
      hit >= 0.5
        ? make("span", { class: "yes" }, "peak points at the true box")
        : make("span", { class: "no" }, "peak misses the true box");
    return settings.head ? [verdict, " (mean of heads)"] : [verdict];
  }

  press(index) {
    this.example.choose(index);
  }
}
