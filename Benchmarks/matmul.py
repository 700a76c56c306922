#!/usr/bin/env python3
"""The f32 matrix product beside OpenBLAS, one thread, in one run.

The kernels are compiled as they stand in Sources/Compute/Kernels with clang and called through ctypes; OpenBLAS is --library, or the system's
(Debian: `apt-get install libopenblas0`), or the one inside numpy. Calls alternate, the best of each counts (another program can only slow a
call down), and a shape is measured in pairs of rounds of which the median ratio counts.

OpenBLAS chooses its kernels by the CPU's model. Where it does not know the model yet it may choose narrower vectors than the CPU has;
OPENBLAS_CORETYPE=SkylakeX asks for AVX-512, and is what this script sets by default on a CPU with AVX-512 (--coretype "" leaves the choice to it).
"""
import argparse, ctypes, ctypes.util, glob, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.join(HERE, "../Sources/Compute/Kernels")
NN, NT, TN = 0, 1, 2
# name, orientation, m, n, k. Products of the shape `char` and `gpt2`, and square ones.
SHAPES = [
    ("square 384", NN, 384, 384, 384), ("square 768", NN, 768, 768, 768), ("square 1024", NN, 1024, 1024, 1024), ("square 2048", NN, 2048, 2048, 2048),
    ("square 1024 A·Bᵀ", NT, 1024, 1024, 1024), ("square 1024 Aᵀ·B", TN, 1024, 1024, 1024),
    ("char up", NN, 4096, 1536, 384), ("char down", NN, 4096, 384, 1536), ("char up, input", NT, 4096, 384, 1536), ("char up, weight", TN, 384, 1536, 4096),
    ("gpt2 up", NN, 256, 3072, 768), ("gpt2 down", NN, 256, 768, 3072), ("gpt2 up, input", NT, 256, 768, 3072), ("gpt2 head", NT, 256, 50257, 768),
]


def flags_of_cpu():
    try:
        return open("/proc/cpuinfo").read()
    except OSError:
        return ""


def build_kernels(folder):
    sources = sorted(glob.glob(os.path.join(KERNELS, "*", "*.c")))
    library = os.path.join(folder, "libkernels.so")
    subprocess.run(["clang", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared", "-I", os.path.join(KERNELS, "include"), *sources, "-o", library, "-lpthread"],
                   check=True)
    return ctypes.CDLL(library)


class Ours:
    def __init__(self, library):
        library.assay_kernels_of.restype = library.assay_pool_create.restype = ctypes.c_void_p
        self.name, self.kernels = next((name, table) for name, path in [("avx512", 2), ("avx2", 1), ("neon", 3)] if (table := library.assay_kernels_of(path)))
        self.pool, self.call = library.assay_pool_create(1), library.assay_parallel_matmul

    def run(self, orientation, m, n, k, a, b, c):
        long, pointer = ctypes.c_long, ctypes.c_void_p
        self.call(pointer(self.kernels), pointer(self.pool), orientation, long(m), long(n), long(k), pointer(a), long(m if orientation == TN else k), pointer(b),
                  long(k if orientation == NT else n), pointer(c), long(n), ctypes.c_bool(False))


class OpenBLAS:
    def __init__(self, path):
        found = [path] if path else [ctypes.util.find_library("openblas")] if ctypes.util.find_library("openblas") else []
        if not found:
            try:
                import numpy
                found = glob.glob(os.path.join(os.path.dirname(numpy.__file__), "../numpy.libs/*openblas*.so"))
            except ImportError:
                pass
        if not found:
            sys.exit("OpenBLAS was not found: apt-get install libopenblas0, or --library PATH")
        self.library = ctypes.CDLL(found[0])
        for symbol, integer in [("cblas_sgemm", ctypes.c_int), ("scipy_cblas_sgemm64_", ctypes.c_int64), ("scipy_cblas_sgemm", ctypes.c_int)]:
            if hasattr(self.library, symbol):
                self.call, self.integer, suffix = getattr(self.library, symbol), integer, symbol
        config = {"cblas_sgemm": "openblas_get_config", "scipy_cblas_sgemm64_": "scipy_openblas_get_config64_", "scipy_cblas_sgemm": "scipy_openblas_get_config"}[suffix]
        get = getattr(self.library, config)
        get.restype = ctypes.c_char_p
        self.name = get().decode()

    def run(self, orientation, m, n, k, a, b, c):
        i, pointer = self.integer, ctypes.c_void_p
        self.call(101, 112 if orientation == TN else 111, 112 if orientation == NT else 111, i(m), i(n), i(k), ctypes.c_float(1), pointer(a),
                  i(m if orientation == TN else k), pointer(b), i(k if orientation == NT else n), ctypes.c_float(0), pointer(c), i(n))


def floats(count):
    # Numbers without a pattern; the values do not matter for the time, as long as none is subnormal.
    array = (ctypes.c_float * count)()
    for start in range(0, count, 1 << 16):
        here = min(1 << 16, count - start)
        ctypes.memmove(ctypes.byref(array, 4 * start), BLOCK, 4 * here)
    return array


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", help="libopenblas.so")
    parser.add_argument("--coretype", default="SkylakeX" if "avx512f" in flags_of_cpu() else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1" or (options.coretype and os.environ.get("OPENBLAS_CORETYPE") != options.coretype):
        more = {"OPENBLAS_CORETYPE": options.coretype} if options.coretype else {}
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OPENBLAS_NUM_THREADS": "1", **more})
    global BLOCK
    BLOCK = (ctypes.c_float * (1 << 16))(*((i * 40503 % 65521) / 65521 - 0.5 for i in range(1 << 16)))
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(build_kernels(folder))
    theirs = OpenBLAS(options.library)
    if not options.json:
        print(f"Assay {ours.name}; {theirs.name}")
    report = []
    for name, orientation, m, n, k in SHAPES:
        a, b, c = floats(m * k), floats(n * k), floats(m * n)
        arguments = (orientation, m, n, k, ctypes.addressof(a), ctypes.addressof(b), ctypes.addressof(c))
        rounds = []
        for _ in range(options.rounds):
            best, end = [float("inf")] * 2, time.perf_counter() + options.seconds
            while True:
                for index, library in enumerate([ours, theirs]):
                    start = time.perf_counter()
                    library.run(*arguments)
                    best[index] = min(best[index], time.perf_counter() - start)
                if time.perf_counter() > end:
                    break
            rounds.append([2e-9 * m * n * k / seconds for seconds in best])
        row = {"product": name, "m": m, "n": n, "k": k, "assay": statistics.median(r[0] for r in rounds), "openblas": statistics.median(r[1] for r in rounds),
               "ratio": statistics.median(r[0] / r[1] for r in rounds)}
        report.append(row)
        if not options.json:
            print(f"{name:18} {m:5} × {n:5} × {k:5}  Assay {row['assay']:6.1f}  OpenBLAS {row['openblas']:6.1f} GFLOP/s  ratio {row['ratio']:.2f}", flush=True)
    ratios = [row["ratio"] for row in report]
    if options.json:
        print(json.dumps({"kernels": ours.name, "openblas": theirs.name, "products": report, "medianRatio": statistics.median(ratios), "leastRatio": min(ratios)}))
    else:
        print(f"median ratio {statistics.median(ratios):.2f}, least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
