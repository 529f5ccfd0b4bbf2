"""The front end in one file, and how a page gets it: once, from the kernel, whatever number of widgets it shows.

A widget's own script is only a stub, so that a saved notebook stays small. It asks the kernel for the bundle when the page has none of
this content yet, and imports it from memory; nothing is fetched from anywhere.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from sopnb.errors import StorageError

FILE = "browser.js"
_STUB = """
const key = "sopnb-bundle-%(digest)s";
async function bundle(model) {
  if (!globalThis[key]) {
    globalThis[key] = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the kernel does not answer; run the cell again")), 60000);
      const listen = (message, buffers) => {
        if (message?.op !== "bundle") return;
        clearTimeout(timer);
        model.off("msg:custom", listen);
        const url = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
        import(/* webpackIgnore: true */ url).then(resolve, reject).finally(() => URL.revokeObjectURL(url));
      };
      model.on("msg:custom", listen);
      model.send({ op: "bundle" });
    });
    globalThis[key].catch(() => { delete globalThis[key]; });
  }
  return globalThis[key];
}
export default {
  async render(context) {
    try {
      return await (await bundle(context.model)).default.render(context);
    } catch (error) {
      context.el.textContent = `sopnb: ${error.message}`;
    }
  },
};
"""


@cache
def content() -> bytes:
    """Return the bundle. Raises ``StorageError`` where the package was installed without it."""
    try:
        return resources.files("sopnb.widgets").joinpath("static", FILE).read_bytes()
    except FileNotFoundError:
        raise StorageError(FILE, "the front end was not built when sopnb was installed; see CONTRIBUTING") from None


@cache
def stub() -> str:
    """Return the script of a widget."""
    return _STUB % {"digest": hashlib.sha256(content()).hexdigest()[:16]}
