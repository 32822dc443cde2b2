"""Ends the server process that workers are forked from with its parent; imported there alone.

The server ends by itself once its imports are over. This ends it while it imports.
"""

from __future__ import annotations

import ctypes
import os
import signal

#: Linux's `prctl` option that names the signal a process gets when its parent ends.
PR_SET_PDEATHSIG = 1

ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == 1:  # the parent ended before
    os._exit(1)
