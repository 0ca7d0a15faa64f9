// How the search of the documentation site ranks pages: what answers a question comes before what says why, or when.
// Sphinx puts this before its own script, which declares the same variable if there is none yet. So it has to be a `var`.
var Scorer = {
  score: ([page, title, , , found]) => {
    // Sphinx knows a title by its words, but not how many of those that were typed it has.
    const typed =
      new URLSearchParams(location.search)
        .get("q")
        ?.toLowerCase()
        .match(/\w{3,}/g) ?? [];
    const named = typed.filter((word) => title.toLowerCase().includes(word.replace(/s$/, ""))).length;
    const score = found + 4 * named;
    if (/^(decisions|changelog|languages|mutation|performance|architecture|contributing)/.test(page))
      return score / 4;
    return /^(how-to|questions|start|reference)/.test(page) ? score + 3 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
