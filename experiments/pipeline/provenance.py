"""Who made a result, when, and how: the command, versions, the machine."""

import platform
import sys
import time
from importlib import metadata
from typing import Any

from .machine import processor, usable_cores
from .versions import build, versions


def provenance(command: str) -> dict[str, Any]:
    """What is noted beside a result; no number depends on it.

    Args:
        command: The command line that reproduces the result.
    """
    return {
        "command": command,
        "version": metadata.version("dpodl"),
        "build": build(),
        "python": sys.version.split()[0],
        "packages": versions(),
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "cores": usable_cores(),
        },
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
