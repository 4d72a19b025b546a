"""Makes progress for a while (20 seconds, or the first argument), then fails inside nested calls with a traceback."""

import signal
import sys
import time

RUN_SECONDS = 20.0
STEPS = 10


def train(run_seconds):
    for step in range(1, STEPS + 1):
        time.sleep(run_seconds / STEPS)
        print(f"failing: step {step} of {STEPS}, loss {1.0 / step:.3f}", flush=True)
    resume_from("checkpoints/step-10")


def resume_from(path):
    print(f"failing: resuming from {path}", flush=True)
    return load_checkpoint(path)


def load_checkpoint(path):
    return read_shard(path, rank=0)


def read_shard(path, rank):
    raise RuntimeError(f"{path}/rank-{rank}.bin is truncated: expected 4096 bytes, found 1024")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, without a KeyboardInterrupt traceback.
    train(float(sys.argv[1]) if len(sys.argv) > 1 else RUN_SECONDS)
