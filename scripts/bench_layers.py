"""Measures the passes of single layers for scripts/bench-layers: our kernels and libtorch channels-last, on one thread.

A layer is images, rows and columns of an output, input channels, output channels, kernel, stride and groups. Both are means
of some runs in processor time of their thread, so that other programs have no part in it but by the caches.
"""

import argparse
import os
import subprocess
import sys
import time

SECONDS = 0.4
PASSES = ("forward", "gradient of images", "gradient of weights")
SETS = {"avx512": ("AVX512", "AVX512_CORE"), "avx2": ("AVX2", "AVX2")}
# What the inverted blocks of spaces/edge32.toml have at its three resolutions, and shortcuts of the paper's space.
LAYERS = [
    *((64, size, size, channels, channels, kernel, 1, channels)
      for size, channels in ((32, 48), (32, 96), (16, 96), (16, 192), (8, 192), (8, 384))
      for kernel in (3, 5)),
    *((64, size, size, channels, channels, kernel, 2, channels)
      for size, channels in ((16, 96), (8, 192)) for kernel in (3, 5)),
    (64, 32, 32, 16, 96, 1, 1, 1), (64, 32, 32, 96, 16, 1, 1, 1),
    (64, 32, 32, 24, 48, 1, 1, 1), (64, 32, 32, 48, 24, 1, 1, 1),
    (64, 16, 16, 32, 192, 1, 1, 1), (64, 16, 16, 192, 32, 1, 1, 1),
    (64, 8, 8, 64, 384, 1, 1, 1), (64, 8, 8, 384, 64, 1, 1, 1),
    (64, 16, 16, 16, 32, 1, 2, 1), (64, 8, 8, 32, 64, 1, 2, 1),
    (64, 32, 32, 8, 8, 3, 1, 1), (64, 32, 32, 16, 16, 3, 1, 1), (64, 32, 32, 24, 24, 3, 1, 1),
    (64, 16, 16, 24, 24, 3, 1, 1), (64, 16, 16, 32, 32, 3, 1, 1), (64, 8, 8, 64, 64, 3, 1, 1),
]


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-layers", description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", help=argparse.SUPPRESS)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    parser.add_argument("--instructions", choices=SETS, default="avx512", help="of both [default: avx512]")
    precisions = ["float32", "bfloat16"]
    parser.add_argument("--precision", choices=precisions, default="float32", help="of both [default: float32]")
    layers = {"default": LAYERS, "metavar": "LAYER", "help": "such as 64,32,32,96,96,3,1,96"}
    parser.add_argument("--layers", nargs="+", type=sizes, **layers)
    options = parser.parse_args()
    if options.reference:
        times = libtorch(sizes(options.reference), options.precision)
        print(*(f"{milliseconds:.4f}" for milliseconds in times))
        return
    print(f"{options.instructions}, {options.precision}; milliseconds, own and libtorch's, and how many times as long libtorch takes")
    for layer in options.layers:
        own = numbers([options.kernels, options.instructions, options.precision, text(layer)])
        capability, isa = SETS[options.instructions]
        if options.precision == "bfloat16" and options.instructions == "avx512":
            isa += "_BF16"
        limits = {"ATEN_CPU_CAPABILITY": capability.lower(), "ONEDNN_MAX_CPU_ISA": isa}
        reference = [sys.executable, __file__, "--precision", options.precision, "--reference", text(layer)]
        other = numbers(reference, limits)
        columns = [f"{a:7.2f} {b:7.2f} {b / a:5.2f}" for a, b in zip(own, other)]
        print(f"{text(layer):28}", *columns, f"{sum(other) / sum(own):5.2f}", sep="  ", flush=True)


def sizes(word):
    return tuple(int(number) for number in word.split(","))


def text(layer):
    return ",".join(str(size) for size in layer)


def numbers(command, variables={}):
    run = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **variables})
    return [float(word) for word in run.stdout.split()]


def libtorch(layer, precision):
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, precision))
    count, height, width, inputs, outputs, kernel, stride, groups = layer
    last = torch.channels_last
    images = torch.randn(count, inputs, height * stride, width * stride).to(memory_format=last)
    weights = torch.randn(outputs, inputs // groups, kernel, kernel).to(memory_format=last)
    slope = torch.randn(count, outputs, height, width).to(memory_format=last)
    padding = kernel // 2

    def back(mask):
        arguments = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask)
        return torch.ops.aten.convolution_backward(slope, images, weights, None, *arguments)

    return [
        mean(lambda: torch.nn.functional.conv2d(images, weights, None, stride, padding, 1, groups)),
        mean(lambda: back([True, False, False])),
        mean(lambda: back([False, True, False])),
    ]


def mean(run):
    run()
    begin, runs = time.thread_time(), 0
    while runs == 0 or time.thread_time() - begin < SECONDS:
        run()
        runs += 1
    return 1e3 * (time.thread_time() - begin) / runs


if __name__ == "__main__":
    main()
