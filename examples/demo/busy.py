"""Burns CPU in Python code, forever. Its stack: work_forever > process_batch > do_cpu_work > _cpu_burn_loop."""

import signal
import time

BATCH_SECONDS = 0.5
REPORT_EVERY_BATCHES = 20


def work_forever():
    batch = 0
    while True:
        process_batch()
        batch += 1
        if batch % REPORT_EVERY_BATCHES == 0:
            print(f"busy: {batch} batches done", flush=True)


def process_batch():
    do_cpu_work()


def do_cpu_work():
    _cpu_burn_loop(time.monotonic() + BATCH_SECONDS)


def _cpu_burn_loop(deadline):
    total = 0
    while time.monotonic() < deadline:
        for number in range(1000):
            total = (total * 31 + number) % 1000003
    return total


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, without a KeyboardInterrupt traceback.
    print("busy: computing", flush=True)
    work_forever()
