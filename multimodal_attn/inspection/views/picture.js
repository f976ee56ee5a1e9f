Object.assign(settings, { smooth: true, overlay: true });

/** The photo with the chosen word's map, and a strip of all words. */
views.picture = class {
  static gamma = 0.5; // few cells are strong, and a linear scale would hide all others
  static overGray = true;
  static legend = "weight of a cell above that of a uniform map; where a map has no more than that, the photo stays gray. Circle: the map's peak";
  static controls = [
    {
      label: "Map",
      options: [
        ["smooth", "smooth"],
        ["cells", "true cells"],
      ],
      set: (value) => (settings.smooth = value === "smooth"),
    },
    { label: "Overlay", key: "m", set: (value) => (settings.overlay = value) },
  ];

  static shape = ({ rows, columns }) => [rows, columns];

  /** The photo, tinted by how much of each patch is read, with a frame around the patches that read. */
  static Reader = class {
    constructor(data, { shape, extra, factor }, pick) {
      Object.assign(this, { data, shape, extra, factor, last: null });
      const scale = 300 / Math.max(data.width, data.height);
      this.size = [Math.round(data.width * scale), Math.round(data.height * scale)];
      this.image = make("img", { src: data.photo, width: data.width, height: data.height, alt: "" });
      this.canvas = make("canvas", { role: "img", "aria-label": "weight of each patch" });
      this.mark = make("div", { class: "box reads", hidden: true });
      const at = (event) => {
        const box = event.currentTarget.getBoundingClientRect();
        const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        const [row, column] = [Math.floor(y * data.rows), Math.floor(x * data.columns)].map((i) => Math.floor(Math.max(i, 0) / factor));
        pick(extra + clamp(row, 0, shape[0] - 1) * shape[1] + clamp(column, 0, shape[1] - 1));
      };
      this.node = make(
        "div",
        { class: "patches" },
        make("div", { class: "view", onmousemove: at, onclick: at }, this.image, this.canvas, this.mark),
        extra ? make("button", { class: "source-token", type: "button", onmouseenter: () => pick(0), onfocus: () => pick(0) }, "class token") : null,
      );
      this.image.decode().then(() => {
        this.gray = grayed(this.image, ...this.size);
        if (this.last) this.paint(...this.last);
      });
    }

    names(cell) {
      if (cell < this.extra) return "the class token";
      const [row, column] = [Math.floor((cell - this.extra) / this.shape[1]), (cell - this.extra) % this.shape[1]];
      return `row ${row + 1}, column ${column + 1}`;
    }

    paint(row, cell) {
      this.last = [row, cell];
      const { rows, columns } = this.data;
      const patches = Float32Array.from({ length: rows * columns }, (_, p) => {
        const [down, across] = [Math.floor(p / columns / this.factor), Math.floor((p % columns) / this.factor)];
        return row[this.extra + down * this.shape[1] + across];
      });
      if (this.gray) paint(this.canvas, this.gray, enlarge(patches, rows, columns, ...this.size, false), ...this.size, largest(patches) || 1);
      this.mark.hidden = cell === null || cell < this.extra;
      if (this.mark.hidden) return;
      const [down, across] = [Math.floor((cell - this.extra) / this.shape[1]), (cell - this.extra) % this.shape[1]];
      const edges = (first, size) => [first * this.factor, Math.min((first + 1) * this.factor, size)].map((edge) => edge / size);
      const [[top, bottom], [left, right]] = [edges(down, rows), edges(across, columns)];
      Object.assign(this.mark.style, { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) });
    }
  };

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
    this.buttons = hypothesis.words.map((_, i) =>
      example.button(i, this.thumbs[i], hypothesis.boxes[i] && make("i", { title: "true box known" }, " ▢")),
    );
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
      this.gray = grayed(this.image, ...this.size);
      this.smallGray = grayed(this.image, ...this.small);
    });
  }

  paint(canvas, gray, size, map) {
    const { rows, columns } = this.example.data;
    const above = map.map((weight) => Math.max(weight - 1 / map.length, 0));
    const values = enlarge(above, rows, columns, ...size, settings.smooth);
    paint(canvas, gray, values, ...size, limitOf(above));
  }

  /** One with a true box, if there is one. */
  first() {
    return this.example.sharpest(Object.keys(this.example.hypothesis.boxes).map(Number));
  }

  draw() {
    this.thumbs.forEach((thumb, i) => this.paint(thumb, this.smallGray, this.small, this.example.maps.word(i)));
  }

  select(index) {
    this.canvas.hidden = index === null || !settings.overlay;
    this.marks.replaceChildren();
    if (index === null || !this.gray) return;
    const { data, hypothesis, maps } = this.example;
    const map = maps.word(index);
    this.paint(this.canvas, this.gray, this.size, map);
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
    if (!settings.overlay) return;
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
    const { hits, lookedAt, words } = this.example.hypothesis;
    if (lookedAt[index]) return [make("span", { class: "no" }, `looked at ${lookedAt[index]}, wrote ${words[index][0]}`)];
    const hit = hits[index];
    if (hit === undefined) return ["no true box known"];
    const verdict =
      hit >= 0.5
        ? make("span", { class: "yes" }, "✓ its peak points at the true box")
        : make("span", { class: "no" }, "✗ its peak misses the true box");
    return settings.head ? [verdict, " (mean of heads)"] : [verdict];
  }

  press(index) {
    this.example.choose(index);
  }
};
