"""Runs the command `generic-provider`. The command is installed even without the extra `server`:
then it only names a missing package.
"""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from .cli import main as run  # noqa: PLC0415 - the packages that it needs may not be installed
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
