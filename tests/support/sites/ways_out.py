"""Ways by which a page could reach a third party: markup, styles, scripts, workers, frames and header fields.

In each, TO is the address of the third party. Where a way leads through an address of the site itself, `own` makes it.
"""

from __future__ import annotations

from urllib.parse import quote


def own(path: str, **values: str) -> str:
    """Return an address of the site that serves what is given to it; see `ways_site`."""
    return path + "?" + "&".join(f"{name}={quote(value, safe='/:;*')}" for name, value in values.items())


LINKS = {
    **{
        f"preload as {kind}": f'<link rel="preload" as="{kind}" href="TO" crossorigin>'
        for kind in ("script", "style", "font", "fetch", "track")
    },
    "preload as image": '<link rel="preload" as="image" href="TO">',
    "preload imagesrcset": '<link rel="preload" as="image" imagesrcset="TO 1x">',
    "modulepreload": '<link rel="modulepreload" href="TO">',
    "modulepreload as worker": '<link rel="modulepreload" as="worker" href="TO">',
    "prefetch": '<link rel="prefetch" href="TO">',
    "prefetch as script": '<link rel="prefetch" as="script" href="TO">',
    "prefetch as document": '<link rel="prefetch" as="document" href="TO">',
    "stylesheet": '<link rel="stylesheet" href="TO">',
    "stylesheet for print": '<link rel="stylesheet" media="print" href="TO">',
    "alternate stylesheet": '<link rel="alternate stylesheet" title="other" href="TO">',
    "dictionary": '<link rel="compression-dictionary" href="TO">',
    "base": f'<iframe src="{own("/frame/html", html="<base href=TO/><img src=picture>")}"></iframe>',
}
MEDIA = {
    "img": '<img src="TO" alt="">',
    "img of an origin": '<img src="TO" alt="" crossorigin>',
    "lazy img": '<img src="TO" alt="" loading="lazy">',
    "img srcset": '<img srcset="TO 1x" alt="">',
    "img sizes": '<img srcset="TO 100w" sizes="50px" alt="">',
    "picture": '<picture><source srcset="TO"><img alt=""></picture>',
    "picture for a width": '<picture><source media="(min-width: 1px)" srcset="TO"><img alt=""></picture>',
    "image button": '<input type="image" src="TO" alt="">',
    "body background": '<table background="TO"><tr><td>a</td></tr></table>',
    "cell background": '<table><tr><td background="TO">a</td></tr></table>',
    "poster": '<video poster="TO"></video>',
    "video": '<video src="TO" preload="auto"></video>',
    "video source": '<video preload="auto"><source src="TO"></video>',
    "audio": '<audio src="TO" preload="auto"></audio>',
    "audio source": '<audio preload="auto"><source src="TO"></audio>',
    "embed": '<embed src="TO">',
    "embed of a type": '<embed type="text/html" src="TO">',
    "object": '<object data="TO"></object>',
    "object of a type": '<object type="text/html" data="TO"></object>',
    "svg object": '<object type="image/svg+xml" data="TO"></object>',
    "document.write": "<script>document.write('<img src=TO>')</script>",
    "shadow root": '<div><template shadowrootmode="open"><img src="TO" alt=""></template></div>',
    "styled shadow root": '<div><template shadowrootmode="open"><style>@import "TO";</style></template></div>',
}
FRAMES = {
    "iframe": '<iframe src="TO"></iframe>',
    "lazy iframe": '<iframe src="TO" loading="lazy"></iframe>',
    "sandboxed iframe": '<iframe sandbox src="TO"></iframe>',
    "iframe without credentials": '<iframe credentialless src="TO"></iframe>',
    "script address in a frame": """<iframe src="javascript:'<img src=TO>'"></iframe>""",
    "frameset": f'<iframe src="{own("/frame/html", html="<frameset><frame src=TO></frameset>")}"></iframe>',
    "framed redirect": f'<iframe src="{own("/redirect", to="TO")}"></iframe>',
    "refresh in a frame": f"""<iframe src="{
        own("/frame/html", html='<meta http-equiv=refresh content="0; url=TO">')
    }"></iframe>""",
    "moving frame": f'<iframe src="{own("/frame/html", html="<script>location = `TO`</script>")}"></iframe>',
    "link header of a frame": f'<iframe src="{own("/frame/html", link="<TO>; rel=preload; as=image")}"></iframe>',
    "refresh header of a frame": f'<iframe src="{own("/frame/html", refresh="0; url=TO")}"></iframe>',
}
FOR_FRAMES = {
    "img": "<img src=TO>",
    "script": "<script src=TO></script>",
    "iframe": "<iframe src=TO></iframe>",
    "style": "<style>@import 'TO';</style>",
    "fetch": "<script>fetch(`TO`, { mode: `no-cors` })</script>",
    "beacon": "<script>navigator.sendBeacon(`TO`)</script>",
    "worker": "<script>new Worker(URL.createObjectURL(new Blob([`fetch('TO', { mode: 'no-cors' })`])))</script>",
}
"""What documents of each kind hold."""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">%s</svg>'
SHAPES = {
    "image": '<image href="TO" width="9" height="9"/>',
    "image by xlink": '<image xlink:href="TO" width="9" height="9"/>',
    "feImage": '<filter id="f"><feImage href="TO"/></filter><rect width="9" height="9" filter="url(#f)"/>',
    "script": '<script href="TO"></script>',
    "script by xlink": '<script xlink:href="TO"></script>',
    "fill": '<rect width="9" height="9" fill="url(TO#x)"/>',
    "mask": '<rect width="9" height="9" mask="url(TO#x)"/>',
    "clip path": '<rect width="9" height="9" clip-path="url(TO#x)"/>',
    "marker": '<path d="M0 0 L9 9" marker-end="url(TO#x)"/>',
    "style": '<style>@import "TO";</style>',
    "cursor": '<rect width="9" height="9" style="cursor: url(TO), auto"/>',
    "foreign object": '<foreignObject><img xmlns="http://www.w3.org/1999/xhtml" src="TO"/></foreignObject>',
}
STYLES = {
    "background": ".ID { background: url(TO) }",
    "image-set": '.ID { background-image: image-set("TO" 1x) }',
    "cross-fade": ".ID { background-image: -webkit-cross-fade(url(TO), url(TO), 50%) }",
    "list-style": ".ID { display: list-item; list-style: url(TO) }",
    "border-image": ".ID { border: 3px solid; border-image: url(TO) 3 }",
    "content": ".ID { content: url(TO) }",
    "content before": ".ID::before { content: url(TO) }",
    "cursor": ".ID { cursor: url(TO), auto }",
    "mask": ".ID { mask-image: url(TO) }",
    "box mask": ".ID { -webkit-mask-box-image: url(TO) }",
    "shape": ".ID { float: left; shape-outside: url(TO) }",
    "clip path": ".ID { clip-path: url(TO#x) }",
    "variable": ".ID { --a: url(TO); background: var(--a) }",
    "media query": "@media all { .ID { background: url(TO) } }",
    "container": ".ID { container-type: inline-size } @container (width >= 0) { .ID b { background: url(TO) } }",
    "animation": "@keyframes ID { to { background-image: url(TO) } } .ID { animation: ID 1s forwards }",
    "layer": "@layer a { .ID { background: url(TO) } }",
    "nesting": ".ID { & b { background: url(TO) } }",
    "placeholder": ".ID input::placeholder { background: url(TO) }",
    "font": "@font-face { font-family: ID; src: url(TO) } .ID { font-family: ID }",
    "font of a format": '@font-face { font-family: ID; src: url(TO) format("woff2") } .ID { font-family: ID }',
}
IMPORTS = {
    "import": '@import "TO";',
    "import by url": "@import url(TO);",
    "import into a layer": '@import "TO" layer(a);',
    "import for a medium": '@import "TO" all;',
    "import if supported": '@import "TO" supports(display: block);',
}
SCRIPTS = {
    "fetch": "fetch(to, quiet)",
    "fetch of an origin": "fetch(to)",
    "posted fetch": "fetch(to, { method: 'POST', body: 'x', ...quiet })",
    "fetch of the head": "fetch(to, { method: 'HEAD', ...quiet })",
    "keepalive": "fetch(to, { keepalive: true, ...quiet })",
    "fetchLater": "fetchLater(to, { activateAfter: 0 })",
    "XMLHttpRequest": "const it = new XMLHttpRequest(); it.open('GET', to); it.send()",
    "posted XMLHttpRequest": "const it = new XMLHttpRequest(); it.open('POST', to); it.send('x')",
    "XMLHttpRequest that waits": "const it = new XMLHttpRequest(); it.open('GET', to, false); it.send()",
    "beacon": "navigator.sendBeacon(to, 'x')",
    "beacon of a blob": "navigator.sendBeacon(to, new Blob(['x'], { type: 'text/plain' }))",
    "beacon at the end": "frame({ srcdoc: `<script>onpagehide = () => navigator.sendBeacon('${to}')</`+`script>` },"
    " it => it.remove())",
    "EventSource": "new EventSource(to)",
    "WebSocket": "new WebSocket(to.replace('http', 'ws'))",
    "import": "import(to)",
    "import of JSON": "import(to, { with: { type: 'json' } })",
    "import of a style": "import(to, { with: { type: 'css' } })",
    "script element": "add('script', { src: to })",
    "module element": "add('script', { type: 'module', src: to })",
    "imported by a module": "add('script', { type: 'module', textContent: `import '${to}'` })",
    "script of a blob": "add('script', { src: URL.createObjectURL(new Blob([`import('${to}')`])) })",
    "script of data": "add('script', { src: `data:text/javascript,fetch('${to}', { mode: 'no-cors' })` })",
    "eval": "(0, eval)(`fetch('${to}', { mode: 'no-cors' })`)",
    "Function": "new Function(`new Image().src = '${to}'`)()",
    "timer of a text": "setTimeout(`new Image().src = '${to}'`)",
    "event handler": "document.body.insertAdjacentHTML('beforeend', `<img src='data:,' onerror=\"import('${to}')\">`)",
    "Image": "new Image().src = to",
    "decoded Image": "const it = new Image(); it.src = to; await it.decode()",
    "Audio": "new Audio(to).play()",
    "innerHTML": "add('div', { innerHTML: `<img src=${to}>` })",
    "fragment": "document.body.append(document.createRange().createContextualFragment(`<img src=${to}>`))",
    "parsed document": "add('p', {}).append(new DOMParser().parseFromString(`<img src=${to}>`, 'text/html').images[0])",
    "cloned template": "add('p', {}).append(add('template', { innerHTML: `<img src=${to}>` }).content.cloneNode(true))",
    "custom element": "customElements.define('a-b', class extends HTMLElement"
    " { connectedCallback() { this.innerHTML = `<img src=${to}>` } }); add('a-b', {})",
    "attached shadow": "add('p', {}).attachShadow({ mode: 'closed' }).innerHTML = `<img src=${to}>`",
    "icon by script": "document.head.append(Object.assign(document.createElement('link'), { rel: 'icon', href: to }))",
    "prefetch by script": "add('link', { rel: 'prefetch', href: to })",
    "stylesheet by script": "add('link', { rel: 'stylesheet', href: to })",
    "style by script": "add('p', {}).style.background = `url(${to})`",
    "style attribute by script": "add('p', {}).setAttribute('style', `background: url(${to})`)",
    "inserted rule": "add('style', {}).sheet.insertRule(`main { background: url(${to}) }`)",
    "adopted sheet": "const sheet = new CSSStyleSheet(); sheet.replaceSync(`main { list-style: url(${to});"
    " display: list-item }`); document.adoptedStyleSheets.push(sheet)",
    "FontFace": "new FontFace('f', `url(${to})`).load()",
    "animation by script": "const it = { backgroundImage: `url(${to})` }; document.body.animate([it, it], 5000)",
    "canvas pattern": "const it = new Image(); it.crossOrigin = ''; it.src = to",
    "picture of a video": "add('video', { poster: to })",
    "form": "send({ action: to, method: 'post' })",
    "form by GET": "send({ action: to })",
    "form into a tab": "send({ action: to, target: '_blank' })",
    "form with another action": "const it = add('form', { action: '/nowhere', target: frame({}).name });"
    " const button = document.createElement('button'); button.formAction = to; it.append(button); button.click()",
    "ping": "const it = add('a', { ping: to, href: '#here' }); it.click()",
    "frame": "frame({ src: to })",
    "frame moved by its page": "frame({ src: '/frame/html' }, it => { it.contentWindow.location = to })",
    "frame replaced by its page": "frame({ src: '/frame/html' }, it => it.contentWindow.location.replace(to))",
    "link into a frame": "add('a', { href: to, target: frame({}).name }).click()",
    "window opened into a frame": "open(to, frame({}).name)",
    "blank frame": "frame({}).contentDocument.write(`<img src=${to}>`)",
    "objects of a frame": "new (frame({}).contentWindow.Image)().src = to",
    "fetch of a frame": "frame({}).contentWindow.fetch(to, quiet)",
    "script address": "frame({ src: `javascript:fetch('${to}', { mode: 'no-cors' })` })",
    "popup of a blob": "open(URL.createObjectURL(new Blob([`<img src=${to}>`], { type: 'text/html' })))",
    "written popup": "open('').document.write(`<img src=${to}>`)",
    "fetch of a popup": "open('').fetch(to, quiet)",
    "import map": 'frame({ srcdoc: `<script type=importmap>{ "imports": { "a": "${to}" } }</`+`script>'
    "<script type=module>import 'a'</`+`script>` })",
    "policy of a frame": "const it = document.createElement('iframe'); it.csp = \"default-src *\"; it.src = to;"
    " document.body.append(it)",
    "sign-in": "navigator.credentials.get({ identity: { providers: [{ configURL: to, clientId: 'a' }] } })",
    "paint worklet": "CSS.paintWorklet.addModule(to)",
    "audio worklet": "new AudioContext().audioWorklet.addModule(to)",
    "import in a worklet": "new AudioContext().audioWorklet.addModule(run(`import '${to}'`))",
    "worker of data": "new Worker(`data:text/javascript,fetch('${to}', { mode: 'no-cors' })`)",
    "worker of a blob": "new Worker(URL.createObjectURL(new Blob([`fetch('${to}', { mode: 'no-cors' })`])))",
    "module worker of a blob": "new Worker(URL.createObjectURL(new Blob([`import '${to}'`],"
    " { type: 'text/javascript' })), { type: 'module' })",
    "import behind a redirect": "import(redirect)",
}
REDIRECTS = {
    "img": '<img src="TO" alt="">',
    "script": '<script src="TO"></script>',
    "module": '<script type="module" src="TO"></script>',
    "stylesheet": '<link rel="stylesheet" href="TO">',
    "video": '<video src="TO" preload="auto"></video>',
    "preload": '<link rel="preload" as="image" href="TO">',
    "prefetch": '<link rel="prefetch" href="TO">',
    "font": "<style>@font-face { font-family: r; src: url(TO) }</style><p style='font-family: r'>a</p>",
    "background": "<p style='background: url(TO)'>a</p>",
    "fetch": "<script>fetch('TO', { mode: 'no-cors' })</script>",
    "beacon": "<script>navigator.sendBeacon('TO', 'x')</script>",
    "EventSource": "<script>new EventSource('TO')</script>",
    "form": "<iframe name='formed'></iframe><form id='formed' action='TO' target='formed' method='post'></form>"
    "<script>document.forms.formed.submit()</script>",
}
IN_WORKERS = {
    "fetch": "fetch('TO', { mode: 'no-cors' })",
    "posted fetch": "fetch('TO', { method: 'POST', mode: 'no-cors', body: 'x' })",
    "XMLHttpRequest": "const it = new XMLHttpRequest(); it.open('GET', 'TO'); it.send()",
    "importScripts": "importScripts('TO')",
    "import": "import('TO')",
    "WebSocket": "new WebSocket('TO'.replace('http', 'ws'))",
    "EventSource": "new EventSource('TO')",
    "font": "new FontFace('f', 'url(TO)').load()",
}
WORKERS = {
    "worker": "new Worker(run(CODE))",
    "module worker": "new Worker(run(CODE), { type: 'module' })",
    "shared worker": "new SharedWorker(run(CODE))",
    "service worker": "navigator.serviceWorker.register(run(CODE), { scope: '/of-' + Math.random() })",
}
_NOT_THERE = {
    ("module worker", "importScripts"),
    ("service worker", "XMLHttpRequest"),
    ("service worker", "import"),
}
"""Workers have no such function."""
DOCUMENTS = {
    "frame": "frame({ src: '/frame/html?html=' + encodeURIComponent(HTML) })",
    "XHTML": "frame({ src: '/frame/xhtml?html=' + encodeURIComponent(new XMLSerializer()"
    ".serializeToString(new DOMParser().parseFromString(HTML, 'text/html').documentElement)) })",
    "srcdoc": "frame({ srcdoc: HTML })",
    "sandboxed srcdoc": "const it = document.createElement('iframe'); it.sandbox = 'allow-scripts'; it.srcdoc = HTML;"
    " document.body.append(it)",
    "blob": "frame({ src: URL.createObjectURL(new Blob([HTML], { type: 'text/html' })) })",
    "data": "frame({ src: 'data:text/html,' + encodeURIComponent(HTML) })",
    "written frame": "frame({}).contentDocument.write(HTML)",
}
KINDS = {
    "JSON": "application/json",
    "style": "text/css",
    "text": "text/plain",
    "SVG": "image/svg+xml",
    "XML": "text/xml",
    "script": "text/javascript",
    "picture": "image/png",
    "video": "video/webm",
    "feed": "application/atom+xml",
    "untyped": "",
}
"""What is framed -> its media type."""
OWN = [
    *(f"/privacy-choices{path}" for path in ("/state", "/policy", "/choices.js", "/gated.js")),
    "/.well-known/gpc.json",
]
"""Those of our own endpoints that can be framed."""
FROM_FRAMES = {
    "fetch": "window.fetch(to, quiet)",
    "Image": "new window.Image().src = to",
    "script": "inside('script')",
    "frame": "inside('iframe')",
}
"""What a page does with the window of a frame of its own origin."""


def _in_frame(address: str, use: str) -> str:
    return (
        f"frame({{ src: '{address}' }}, ({{ contentWindow: window, contentDocument: document }}) => {{ "
        "const inside = tag => document.documentElement.append(Object.assign("
        f"document.createElementNS('http://www.w3.org/1999/xhtml', tag), {{ src: to }})); {use} }})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("</", "<\\/") + "'"


MARKUP: dict[str, str] = {
    **LINKS,
    **MEDIA,
    **FRAMES,
    **{f"svg {name}": SVG % shape for name, shape in SHAPES.items()},
    **{
        f"style {name}": f"<style>{css}</style><p class=ID><b>a</b><input placeholder=a></p>"
        for name, css in STYLES.items()
    },
    **{f"style {name}": f"<style>{css}</style>" for name, css in IMPORTS.items()},
    **{
        f"stylesheet {name}": f'<link rel="stylesheet" href="{own("/run.css", code=css)}"><p class=ID>a</p>'
        for name, css in {**IMPORTS, **STYLES}.items()
        if name in ("import", "import by url", "background", "font", "cursor")
    },
    "style attribute": '<p style="background: url(TO)">a</p>',
    **{
        f"redirected {name}": html.replace("TO", own("/redirect", to="TO").replace("TO", "%s")).replace("%s", "TO")
        for name, html in REDIRECTS.items()
    },
    **{
        f"svg document with {name}": f'<iframe src="{own("/frame/svg", html=SVG % shape)}"></iframe>'
        for name, shape in SHAPES.items()
        if name in ("image", "script", "style", "foreign object")
    },
    "XML with a style": f"""<iframe src="{
        own("/frame/xml", html='<?xml-stylesheet type="text/css" href="TO"?><a/>')
    }"></iframe>""",
}
"""The name of a way -> HTML."""
CODE: dict[str, str] = {
    **{f"{name} by script": code for name, code in SCRIPTS.items()},
    **{
        f"{name} in a {where}": start.replace("CODE", _quoted(code))
        for where, start in WORKERS.items()
        for name, code in IN_WORKERS.items()
        if (where, name) not in _NOT_THERE
    },
    **{
        f"{name} in a document: {where}": start.replace("HTML", _quoted(html))
        for where, start in DOCUMENTS.items()
        for name, html in FOR_FRAMES.items()
    },
    **{
        f"{name} from a framed {kind}": _in_frame(own("/frame/type", type=type_), use)
        for kind, type_ in KINDS.items()
        for name, use in FROM_FRAMES.items()
    },
    **{f"{name} from {path}": _in_frame(path, use) for path in OWN for name, use in FROM_FRAMES.items()},
}
"""The name of a way -> code, in which `to` is the third party, and `redirect` an address that leads there."""
HELPERS = """
const quiet = { mode: "no-cors" };
const run = code => "/run.js?code=" + encodeURIComponent(code);
const add = (tag, values) => {
  const made = Object.assign(document.createElement(tag), values);
  document.body.append(made);
  return made;
};
let frames_ = 0;
const frame = (values, then) => add("iframe", {
  name: "frame" + frames_++, ...(then ? { onload() { this.onload = null; then(this); } } : {}), ...values });
const send = values => add("form", { target: frame({}).name, ...values }).submit();
"""
NAVIGATIONS = frozenset(
    (
        *FRAMES,
        "redirected form",
        *(
            name
            for name in CODE
            if name.startswith(("frame", "form", "iframe", "link into", "window opened", "policy"))
        ),
    )
)
"""Ways by which a frame or a form leads out. Chromium opens a connection before it asks the policy."""
