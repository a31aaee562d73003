"""What a sampler is worth at high resolution: drawn birds in images of 512 to 2048 px, small networks, one CPU.

drawings -> methods -> runs -> costs -> report; `python -m benchmarks.high_resolution --help`
"""
