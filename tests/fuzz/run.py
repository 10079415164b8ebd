"""Runs every fuzz target for a while and says what came of it. See README.md.

    run.py BUILD_TREE [--seconds 60] [--only NAME] [--keep]

Ends with `N passed, N failed`; BUILD_TREE/fuzz.json has the figures.
"""

import argparse
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RSS_LIMIT_MB = 1024  # with ASan's quarantine; more is growth
LONGEST_RUN_S = 10  # of one input; longer is a hang
MODELS = HERE.parent / "corpus" / "models"
HEADS = {"safetensors-layout": "*.safetensors", "gguf-layout": "*.gguf", "onnx-layout": "*.onnx", "npy-layout": "*.npy"}

sys.path.insert(0, str(HERE.parent))
from corpus import hostile_directories, hostile_listings  # noqa: E402


def seeds(name):
    """Inputs that other tests know to be interesting, for target `name`."""
    if name == "s3-listing":
        return [body for _, body in hostile_listings.cases(b"p/") if len(body) < 5000]
    if name == "web-listing":
        return [body for _, _, body in hostile_directories.web_cases() if len(body) < 5000]
    if name == "mlflow-json":
        return [body for _, body in hostile_directories.mlflow_cases() if len(body) < 5000]
    if name == "names":
        return hostile_listings.NAMES
    if name == "signature":
        digest = "ab" * 32
        return [('{"subject":[{"digest":{"sha256":"%s"}}],"predicateType":"https://model_signing/signature/v1.0","predicate":{"serialization":{"method":"files"},'
                 '"resources":[{"name":"a","algorithm":"sha256","digest":"%s"}]}}' % (digest, digest)).encode(),
                b'{"verificationMaterial":{"x509CertificateChain":{"certificates":[{"rawBytes":"MIIB"}]}},"dsseEnvelope":{"payload":"e30=",'
                b'"payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUC"}]}}']
    if name == "map-file":  # index/FORMAT.md; the target makes the checksum right
        texts = b"".join(struct.pack("<I", len(text)) + text for text in (b"domain", b"s3://b", b"key", b"tag"))
        head = b"MFSMAP\r\n" + struct.pack("<IIQQQQ", 1, 64, 0, 4096, 1 << 20, 3 << 20) + texts
        return [head.ljust(4096, b"\0") + b"\x01" * 64 * records for records in (0, 1, 3)]
    if name == "shard-index-layout":
        return [b'\0{"metadata":{"total_size":8},"weight_map":{"a.weight":"model-00002-of-00002.safetensors","b.weight":"sub/model-00001-of-00002.safetensors"}}']
    if name == "zip-layout":
        return [path.read_bytes() for path in sorted(MODELS.glob("*.npz"))]
    if name in HEADS:  # the first byte: how many zeros follow
        return [bytes([zeros]) + path.read_bytes() for path in sorted(MODELS.glob(HEADS[name])) for zeros in (0, 12)]
    return []


def run(program, seconds, found, broken):
    name = program.name.removeprefix("fuzz-")
    kept = HERE / "corpus" / name
    kept.mkdir(parents=True, exist_ok=True)
    mine = found / name
    mine.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (mine / f"seed-{number:04}").write_bytes(seed)
    words = [program, f"-max_total_time={seconds}", f"-timeout={LONGEST_RUN_S}", f"-rss_limit_mb={RSS_LIMIT_MB}", "-print_final_stats=1", "-use_value_profile=1",
             f"-artifact_prefix={broken}/{name}-", mine, kept]
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, errors="replace", timeout=seconds + 120)
    stats = {key: int(value) for key, value in re.findall(r"stat::(\w+):\s+(\d+)", ended.stderr)}
    cover = re.findall(r"cov: (\d+)", ended.stderr)
    result = {"runs": stats.get("number_of_executed_units", 0), "new_inputs": stats.get("new_units_added", 0), "peak_rss_mb": stats.get("peak_rss_mb", 0),
              "slowest_s": stats.get("slowest_unit_time_sec", 0), "coverage": int(cover[-1]) if cover else 0, "status": ended.returncode}
    if ended.returncode != 0:
        print("\n".join(ended.stderr.splitlines()[-40:]))
    return name, result


def keep(program, found):
    """Puts what reaches something new into the kept corpus, and drops what does not any more."""
    name = program.name.removeprefix("fuzz-")
    kept, merged = HERE / "corpus" / name, found / f"{name}.merged"
    merged.mkdir(exist_ok=True)
    subprocess.run([program, "-merge=1", f"-timeout={LONGEST_RUN_S}", "-max_len=2048", merged, kept, found / name], capture_output=True, check=True)
    for path in kept.iterdir():
        path.unlink()
    for path in merged.iterdir():
        path.rename(kept / path.name)
    merged.rmdir()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("MODELFS_FUZZ_SECONDS", 60)))
    parser.add_argument("--only")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    programs = sorted((options.tree / "bin").glob("fuzz-*"))
    if options.only:
        programs = [program for program in programs if program.name == f"fuzz-{options.only}"]
    found, broken = options.tree / "corpus", options.tree / "broken"
    broken.mkdir(exist_ok=True)
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1")
    results, failed = {}, 0
    for program in programs:
        name, result = run(program, options.seconds, found, broken)
        results[name] = result
        failed += result["status"] != 0 or result["runs"] == 0
        print(f"{name:14} {result['runs']:>10} runs  {result['coverage']:>6} edges  {result['peak_rss_mb']:>5} MiB  {'ok' if result['status'] == 0 else 'BROKEN'}", flush=True)
        if options.keep:
            keep(program, found)
    (options.tree / "fuzz.json").write_text(json.dumps({"seconds": options.seconds, "targets": results}, indent=1) + "\n")
    print(f"{len(programs) - failed} passed, {failed} failed")
    return 1 if failed or not programs else 0


sys.exit(main())
