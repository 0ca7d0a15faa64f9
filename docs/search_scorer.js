// How the search of the documentation site ranks pages: what answers a question comes before what says why, or when.
// Sphinx puts this before its own script, which declares the same variable if there is none yet. So it has to be a `var`.
var Scorer = {
  score: ([page, , , , score]) => {
    if (/^(decisions|changelog|languages|mutation|performance|architecture|contributing)/.test(page)) return score / 4;
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
