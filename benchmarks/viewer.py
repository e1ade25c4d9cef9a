"""Frame times of the viewer in a headless browser, with a processor that is slowed down as that of a phone.

    python -m benchmarks.viewer [--points 10000] [--slower 4]

Prints a line for each screen, kind of map and way of drawing. `script` is what the page computes for a frame, which it
then hands to the graphics card; `frame` is the time from one frame to the next, which includes here that Chromium
draws without a graphics card. 60 frames a second are 16.7 ms.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hf_embeddings.visualization.colouring import Groups
from hf_embeddings.visualization.viewer import Near, View, viewer_page

SCREENS = {"phone": (390, 800, 3), "desk": (1280, 800, 1)}  # width, height, pixels of the screen for each of them
NO_CARD = """if (location.hash === "#plain") {
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return kind === "webgl" ? null : get.call(this, kind, ...rest);
  };
}"""
MEASURE = """(async () => {
  const gaps = [], own = [], next = () => new Promise(done => requestAnimationFrame(done));
  let last = performance.now();
  for (let frame = 0; frame < 130; frame++) {
    await next();
    const now = performance.now();
    gaps.push(now - last); last = now;
    if (FLAT) { pan(3, 1); zoom(1.004); } else turn(0.02, 0.004);
    const start = performance.now();
    draw();
    own.push(performance.now() - start);
  }
  const median = values => values.slice(10).sort((one, other) => one - other)[60], start = performance.now();
  settle();
  return {webgl: Boolean(card), script: median(own), frame: median(gaps), labels: performance.now() - start};
})()"""


class Browser:
    """Chromium, spoken to through its pipe."""

    def __init__(self) -> None:
        names = ("chromium", "chromium-browser", "google-chrome", "chrome")
        binary = os.environ.get("CHROME") or next(filter(None, map(shutil.which, names)))
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (ours, theirs), (read, write) = os.pipe(), os.pipe()
        options = ["--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--remote-debugging-pipe"]
        command = f'exec "$0" "$@" 3<&{ours} 4>&{write}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, binary, *options, f"--user-data-dir={self._profile.name}", "about:blank"],
            pass_fds=(ours, write), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._write, self._read, self._count, self._rest, self._session = theirs, read, 0, b"", None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return the answer to one command of the DevTools protocol."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                self._rest += os.read(self._read, 1 << 16)
            text, self._rest = self._rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self._count:
                return answer["result"]

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._profile.cleanup()


def write_page(path: Path, count: int, dimensions: int) -> int:
    """Write a page of random points and return its bytes."""
    random = np.random.default_rng(0)
    near = Near(random.integers(0, count, size=(count, 8)), random.random((count, 8)))
    labels, groups = [f"word{row}" for row in range(count)], Groups("group", ["odd", "even"] * (count // 2))
    points = random.normal(size=(count, dimensions))
    page = viewer_page(View({"": points}, labels, [groups], [near]), title="many")
    path.write_text(page, encoding="utf-8", newline="\n")
    return path.stat().st_size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--slower", type=float, default=4, help="times")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        browser.call("Page.enable")
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=NO_CARD)
        for dimensions in (2, 3):
            page = Path(folder) / f"{dimensions}.html"
            size = write_page(page, arguments.points, dimensions)
            print(f"{arguments.points:,} points in {dimensions}D: {size / 1e6:.2f} MB")
            for name, (width, height, ratio) in SCREENS.items():
                screen = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": ratio > 1}
                browser.call("Emulation.setDeviceMetricsOverride", **screen)
                for way in ("", "#plain"):
                    browser.call("Emulation.setCPUThrottlingRate", rate=1)
                    browser.call("Page.navigate", url="about:blank")
                    browser.call("Page.navigate", url=f"{page.as_uri()}{way}")
                    time.sleep(1.5)
                    browser.call("Emulation.setCPUThrottlingRate", rate=arguments.slower)
                    answer = browser.call("Runtime.evaluate", expression=MEASURE, awaitPromise=True, returnByValue=True)
                    own = answer["result"]["value"]
                    drawn = "WebGL " if own["webgl"] else "canvas"
                    print(
                        f"  {name:<6}{drawn}  script {own['script']:5.1f} ms, frame {own['frame']:5.1f} ms, "
                        f"labels at rest {own['labels']:5.1f} ms"
                    )


if __name__ == "__main__":
    main()
