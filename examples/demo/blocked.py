"""Waits in a blocking call, forever. Its stack: work_forever > process_batch > do_blocking_work > time.sleep."""

import signal
import time

SLEEP_SECONDS = 5


def work_forever():
    while True:
        process_batch()


def process_batch():
    do_blocking_work()


def do_blocking_work():
    print(f"blocked: waiting {SLEEP_SECONDS} s for a reply", flush=True)
    time.sleep(SLEEP_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, without a KeyboardInterrupt traceback.
    work_forever()
