/** The order of the examples, and which of them are shown. Cards are moved and hidden, never drawn anew. */

const byNode = new Map();
const nothing = make("p", { class: "nothing", hidden: true }, "No example fits this filter.");
const known = (name) => examples.some(({ about }) => about.measures[name] !== null);
const option = (value, text) => make("option", { value }, text);

/** What is wrong with a text itself, where the true one is known. */
const wrong = ({ wer, rouge_l: rouge }) => wer ?? (rouge === null ? null : 1 - rouge);
const last = (value, sign) => (value === null ? Infinity : sign * value); // what has no number comes last

/** Numbers that an example is compared by, the smallest first. */
function rank({ flags, measures }, order) {
  if (order === "key") return [];
  if (order === "worst") return [flags.length ? 0 : 1, last(wrong(measures), -1), measures.score ?? -Infinity];
  const [name, direction] = order.split(":");
  return [last(measures[name], direction === "low" ? 1 : -1)];
}

function arrange() {
  const order = $("sort").value;
  const names = new Intl.Collator(undefined, { numeric: true });
  const compare = (a, b) => {
    const [x, y] = [rank(a.about, order), rank(b.about, order)];
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
    return names.compare(a.about.key, b.about.key) || a.number - b.number;
  };
  $("examples").replaceChildren(...[...examples].sort(compare).map((example) => example.node), nothing);
  filter();
}

function fits({ about, find }) {
  const [text, flag, name, bound] = ["find", "flag", "measure", "bound"].map((id) => $(id).value);
  if (!find.includes(text.trim().toLowerCase())) return false;
  if (flag && !(flag === "none" ? !about.flags.length : about.flags.includes(flag.slice(5)))) return false;
  if (!name || bound === "") return true;
  const value = about.measures[name];
  return value !== null && ($("relation").value === "least" ? value >= Number(bound) : value <= Number(bound));
}

function filter() {
  let shown = 0;
  for (const example of examples) {
    example.node.hidden = !fits(example);
    shown += !example.node.hidden;
  }
  nothing.hidden = shown > 0;
  const { length } = examples;
  const all = overview.total ?? length;
  const some = shown === length ? "" : `${shown} of `;
  $("count").textContent = `${some}${length}${all > length ? ` of ${all}` : ""} example${all === 1 ? "" : "s"}`;
  $("count").hidden = all < 2;
  $("count").title = all > length ? `This page holds ${length} of the ${all} examples, spread evenly over them.` : "";
}

function showAll() {
  for (const id of ["find", "flag", "measure", "bound"]) $(id).value = "";
  filter();
}

function offerOrders() {
  const flags = [...new Set(examples.flatMap(({ about }) => about.flags))].sort();
  $("flag").append(option("", "any"), option("none", "without"), ...flags.map((flag) => option(`with ${flag}`, flag)));
  $("sort").append(option("worst", "worst first"), option("key", "key"));
  $("measure").append(option("", "any measure"));
  for (const [name, label] of overview.measures.filter(([name]) => known(name))) {
    for (const end of ["high", "low"]) $("sort").append(option(`${name}:${end}`, `${label}, ${end}est first`));
    $("measure").append(option(name, label));
  }
  for (const id of ["find", "bound"]) $(id).addEventListener("input", filter);
  for (const id of ["flag", "measure", "relation"]) $(id).addEventListener("change", filter);
  $("sort").addEventListener("change", arrange);
}
