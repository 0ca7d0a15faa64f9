// Says what filter lists do to pages: reads JSON from standard input, writes JSON to standard output.
//
// in:  { lists: [[filter, ...], ...], page: { url, classes, ids, hrefs }, requests: [{ url, type }, ...] }
// out: for each list { styles: the rules that hide something, blocked: the addresses that are not loaded }

import { FiltersEngine, Request } from "@ghostery/adblocker";

let input = "";
for await (const part of process.stdin) input += part;
const { lists, page, requests } = JSON.parse(input);

const answers = lists.map((filters) => {
  const engine = FiltersEngine.parse(filters.join("\n"));
  const { hostname } = new URL(page.url);
  const { styles } = engine.getCosmeticsFilters({ ...page, hostname, domain: hostname, getInjectionRules: false });
  const isBlocked = ({ url, type }) =>
    engine.match(Request.fromRawDetails({ url, type, sourceUrl: page.url })).match;
  return { styles, blocked: requests.filter(isBlocked).map(({ url }) => url) };
});
process.stdout.write(JSON.stringify(answers));
