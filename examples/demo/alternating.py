"""
Computes for a while, then yields to asyncio, forever. Half of its stacks show
work_forever > process_batch > do_cpu_work > _cpu_burn_loop, the other half an event loop that waits.
"""

import asyncio
import signal
import time

COMPUTE_SECONDS = 0.25
PAUSE_SECONDS = 0.25
REPORT_EVERY_ROUNDS = 20


async def work_forever():
    finished = 0
    while True:
        process_batch()
        await asyncio.sleep(PAUSE_SECONDS)
        finished += 1
        if finished % REPORT_EVERY_ROUNDS == 0:
            print(f"alternating: {finished} rounds done", flush=True)


def process_batch():
    do_cpu_work()


def do_cpu_work():
    _cpu_burn_loop(time.monotonic() + COMPUTE_SECONDS)


def _cpu_burn_loop(deadline):
    total = 0
    while time.monotonic() < deadline:
        for number in range(1000):
            total = (total * 31 + number) % 1000003
    return total


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, without a KeyboardInterrupt traceback.
    print("alternating: starting", flush=True)
    asyncio.run(work_forever())
