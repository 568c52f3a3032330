"""How fast the explorer of the default study is in Chromium without a graphics card: until it is there, and per frame.

Reads results/explorer.html.
"""

import sys
from statistics import median

from timing import PROJECT, report, seconds

sys.path.append(str(PROJECT / "tests"))
from chromium import Browser

PAGE, ROUNDS = PROJECT / "results/explorer.html", 5

FRAME = """(() => { const begin = performance.now();
  for (let i = 0; i < 20; i++) { app.clouds.camera.yaw += 0.01; app.clouds.panels.forEach((panel) => panel.draw()); }
  return (performance.now() - begin) / 20; })()"""

STEER = """(() => { const begin = performance.now();
  for (let i = 0; i < 20; i++) app.steer.update(); return (performance.now() - begin) / 20; })()"""


def measured(browser: Browser) -> dict[str, float]:
    """Seconds until the first experiment is shown, and milliseconds of one frame and of one written belief."""
    load = seconds(lambda: (browser.open(PAGE), browser.wait("document.body && document.body.dataset.ready")))
    browser.js(FRAME)
    return {"load_seconds": load, "frame_ms": browser.js(FRAME), "written_belief_ms": browser.js(STEER)}


if __name__ == "__main__":
    with Browser() as browser:
        rounds = [measured(browser) for _ in range(ROUNDS)]
        panels, points = browser.js("[app.clouds.panels.length, app.clouds.panels[0].shown]")
    row = {"megabytes": PAGE.stat().st_size / 1e6, "panels": panels, "points": points}
    report([row | {name: median(one[name] for one in rounds) for name in rounds[0]}], sys.argv[1])
