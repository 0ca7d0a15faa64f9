// Counts a visit: remembers the visitor in a cookie of the site that embeds this script, and reports the page.
const known = document.cookie.match(/(?:^|; )_fa_id=([^;]+)/);
const id = known ? known[1] : Math.random().toString(36).slice(2);
document.cookie = `_fa_id=${id}; Max-Age=${390 * 24 * 60 * 60}; Path=/; SameSite=Lax`;

const report = new URL("/collect", document.currentScript.src);
report.search = new URLSearchParams({ id, page: location.pathname });
new Image().src = report;
