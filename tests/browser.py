"""A real headless browser: open a page, let it run, and read the document that it becomes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")


def browse(url: str, folder: Path, *options: str) -> str:
    """Return the document that a page becomes in 15 seconds of its own time; `folder` keeps the browser's files."""
    browser = os.environ.get("CHROME") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser and os.environ.get("BROWSER_TESTS") != "required":  # as .ci/run says, which installs one
        pytest.skip("no browser: run `apt-get install chromium`, or set CHROME to the path of Chrome or Chromium")
    assert browser, "BROWSER_TESTS=required, but there is no Chrome or Chromium"
    command = [browser, "--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--mute-audio"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=15000", "--window-size=1200,900"]
    result = subprocess.run([*command, *options, "--dump-dom", url], capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout
