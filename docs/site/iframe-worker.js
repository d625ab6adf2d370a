// Browsers start no workers for pages that are opened as files; the search is one. There, a hidden
// frame takes its place: it runs the same script, and passes the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inner = frame.contentWindow
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inner.importScripts = (...urls) => urls.reduce(
        (before, each) => before.then(() => new Promise((done, failed) => {
          const script = inner.document.createElement("script")
          Object.assign(script, { src: each, onload: done, onerror: failed })
          inner.document.body.append(script)
        })), Promise.resolve())
      this.inner = inner
      this.ready = inner.importScripts(url)
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {}
  }
}
