"""Speed and memory, side by side: python -m benchmarks --device cpu. Nothing here is imported by the library."""

import os

# torch's profiler, which counts memory on a CPU, would tell of its start and end; it reads this once, when torch loads.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
