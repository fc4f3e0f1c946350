import subprocess
import sys
import time

from infra.watchdog import LOST, watching

HANGS = """
import threading, time
from infra.watchdog import watching
began = time.monotonic()
with watching(lambda: began, 0.1):
    threading.Lock().acquire()
    time.sleep(60)
"""


def test_process_whose_transaction_does_not_end_is_ended() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, timeout=30, check=False)
    assert done.returncode == LOST
    assert b"has not come to its end" in done.stderr


def test_nothing_happens_while_there_is_no_transaction_or_a_young_one() -> None:
    for since in (lambda: None, time.monotonic):
        with watching(since, 0.0 if since is not time.monotonic else 10.0):
            time.sleep(0.7)
