"""The app on this machine's loopback address, and nowhere else."""

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from ...models.errors import UserError

HOST = "127.0.0.1"
APP = Path(__file__).with_name("app.py")


class NotInstalled(UserError):
    """The extra that the explorer needs is not there."""


class PortTaken(UserError):
    """Another program has the port."""


def command(folder: Path, port: int, *, browser: bool) -> list[str]:
    """The command line that serves the app.

    Raises:
        NotInstalled: If marimo is not.
    """
    if find_spec("marimo") is None:
        raise NotInstalled(
            "dpodl explore needs marimo, which is not installed: "
            "pip install 'dpodl[explore]'"
        )
    words = [sys.executable, "-m", "marimo", "--quiet", "run", str(APP)]
    words += ["--host", HOST, "--port", str(port), "--no-token", "--no-sandbox"]
    words += [] if browser else ["--headless"]
    return [*words, "--", "--run", str(folder.resolve())]


def serve(folder: Path, port: int, *, browser: bool) -> NoReturn:
    """Become the app's server: what ends this process ends it.

    Raises:
        NotInstalled: If marimo is not.
        PortTaken: If somebody listens there.
    """
    words = command(folder, port, browser=browser)
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(
                f"port {port} of {HOST} cannot be used ({error.strerror}): give "
                "another with --port"
            ) from None
    os.execv(words[0], words)
