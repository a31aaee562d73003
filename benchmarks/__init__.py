"""Speed and memory, side by side: python -m benchmarks --device cpu. Nothing here is imported by the library."""

import os

# Silences torch's profiler, which measures memory on a CPU; read once, when torch is imported.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
