"""
Starts two children of its own, as launchers and data loaders do, and waits for them. `parent.py load` and
`parent.py tokenize` are the children: one mostly reads and waits, the other computes.
"""

import os
import signal
import subprocess
import sys
import time

ROLES = ("load", "tokenize")


def supervise_children():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    children = []
    try:
        for rank, role in enumerate(ROLES):
            # Told apart by their rank, as any launcher of ranks does it.
            environment = {**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(len(ROLES))}
            children.append(subprocess.Popen([sys.executable, __file__, role], env=environment))
        print(f"parent: started {' and '.join(ROLES)} as {[child.pid for child in children]}", flush=True)
        wait_for_children(children)
    finally:
        for child in children:
            child.terminate()
        wait_for_children(children)


def leave(number, _frame):
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # A second one would cut the ending of the children short.
    sys.exit(128 + number)


def wait_for_children(children):
    for child in children:
        child.wait()


def load_shards_forever():
    shard = 0
    while True:
        read_shard()
        shard += 1
        if shard % 10 == 0:
            print(f"load: {shard} shards read", flush=True)


def read_shard():
    time.sleep(1)


def tokenize_forever():
    while True:
        tokenize_document("the quick brown fox jumps over the lazy dog " * 2000)
        time.sleep(0.2)


def tokenize_document(text):
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts


if __name__ == "__main__":
    role = sys.argv[1] if len(sys.argv) > 1 else None
    if role is None:
        supervise_children()
    elif role not in ROLES:
        sys.exit(f"usage: parent.py [{'|'.join(ROLES)}]")
    else:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, without a KeyboardInterrupt traceback.
        {"load": load_shards_forever, "tokenize": tokenize_forever}[role]()
