"""The HOLD model on SimPy: each event schedules its successor. Prints seconds, then the clock at the last event.

Usage: hold_simpy.py PENDING EVENTS. The delays are those of test/bench/kernel.ts: a table of 65,536 from one LCG.
Timeouts with a plain callback, SimPy's cheapest event; a process for each would be slower.
"""

import math
import sys
import time

import simpy

pending, events = int(sys.argv[1]), int(sys.argv[2])
state = 12345
delays = []
for _ in range(65536):
    state = (state * 1664525 + 1013904223) % 2**32
    delays.append(math.floor(-math.log((state + 0.5) / 2**32) * 1000 + 0.5))

env = simpy.Environment()
Timeout = simpy.Timeout
drawn = 0
run = 0
finished = env.event()


def hold(_event):
    global drawn, run
    run += 1
    if run == events:
        finished.succeed()
    Timeout(env, delays[drawn & 65535]).callbacks.append(hold)
    drawn += 1


for _ in range(pending):
    Timeout(env, delays[drawn & 65535]).callbacks.append(hold)
    drawn += 1
begin = time.perf_counter()
env.run(until=finished)
print(time.perf_counter() - begin, int(env.now))
