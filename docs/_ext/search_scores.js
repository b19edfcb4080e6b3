// Sphinx's scores, but pages that explain come before pages in which something is looked up.
var Scorer = {
  score: ([docname, , , , score]) => {
    const later = { api: 0.3, changelog: 0.1, citation: 0.3, glossary: 0.5, reading: 0.5 };
    const start = Object.keys(later).find((one) => docname.startsWith(one));
    return score * (start ? later[start] : 1);
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
