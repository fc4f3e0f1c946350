"""This runs a command that ends with the process that asked for it: `python -m infra.engines.tether PARENT …`."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the line above: then nobody would ever send the signal.
    if os.getppid() != int(parent):
        sys.exit("the launcher is gone")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
