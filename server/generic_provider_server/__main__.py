"""Runs the command `generic-provider`. Without the extra `server` the command is installed too, but
then the command only names a missing package.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    if os.getpid() == 1:  # without a handler, the kernel drops signals to process 1
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    try:
        from .cli import main as run  # noqa: PLC0415 - the packages of the CLI may be missing
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0].startswith("generic_provider"):
            raise
        sys.exit(
            f"The command generic-provider needs {missing.name}, which comes with the extra "
            "`server`: install the wheel again with this extra: "
            "pip install 'generic_provider-VERSION-py3-none-any.whl[server]'"
        )
    except KeyboardInterrupt:
        sys.exit("Aborted!")
    run()


if __name__ == "__main__":
    main()
