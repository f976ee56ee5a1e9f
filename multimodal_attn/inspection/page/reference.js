/** A text beside the reference that it is closest to: what is missing, what is too much, what was written instead. */

const missed = (word) => make("del", { title: "missed" }, make("span", { class: "unseen" }, "missed: "), word);
const added = (word) => make("ins", { title: "not in the reference" }, make("span", { class: "unseen" }, "added: "), word);

function compared(references, { diff, words }) {
  if (!diff) return "";
  const counts = { replaced: 0, missed: 0, added: 0 };
  const marked = diff.pairs.map(([index, word]) => {
    if (index === null) return (counts.missed++, missed(word));
    const [written] = words[index];
    if (word === written) return word;
    if (word === null) return (counts.added++, added(written));
    counts.replaced++;
    return make("span", { class: "swap", title: `${word} was written as ${written}` }, missed(word), "→", added(written));
  });
  const told = Object.entries(counts).filter(([, count]) => count);
  const verdict = told.length ? told.map(([name, count]) => `${count} ${name}`).join(", ") : "✓ the same words";
  const others = references.filter((_, i) => i !== diff.reference);
  const line = [
    others.length ? `closest of ${references.length} references` : "reference",
    ` (${verdict}): `,
    ...marked.flatMap((part, i) => (i ? [" ", part] : [part])),
  ];
  if (!others.length) return make("p", {}, ...line);
  return make("details", {}, make("summary", {}, ...line), make("ul", {}, ...others.map((text) => make("li", {}, text))));
}
