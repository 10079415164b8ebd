"""Mountpoint for Amazon S3: its library with the program that is its crate's example, which wants a list of the objects."""

import base64
import csv
import json

from harness import programs
from harness.servers import ACCESS_KEY, REGION, SECRET_KEY

from contestants.contestant import BUCKET
from contestants.mounts import Mounted


class Mountpoint(Mounted):
    name = "mountpoint"
    title = "Mountpoint for S3 (example of its crate)"
    PROGRAM = programs.TOOLS / "mountpoint" / "bin" / "mount_from_config"

    @classmethod
    def missing(cls):
        return None if cls.PROGRAM.exists() else "mountpoint-s3-fs was not built: deploy/deps.sh bench says why"

    def command(self):
        for folder in ("metadata", "events", "cache"):
            (self.folder / folder).mkdir()
        manifest = self.folder / "manifest.csv"
        checksum = write_manifest(manifest, self.stage.listing())
        configuration = {
            "config_version": "0.0.1", "mountpoint": str(self.at), "region": REGION, "endpoint_url": self.origin.url, "loglevel": "error",
            "metadata_store_dir": str(self.folder / "metadata"), "event_log_dir": str(self.folder / "events"),
            "throughput_config": {"type": "Explicit", "throughput": self.stage.link.bytes_per_second / 125e6 or 10.0},
            "disk_cache": {"path": str(self.folder / "cache")},
            "channels": [{"directory_name": BUCKET, "bucket_name": BUCKET, "manifest_path": str(manifest), "manifest_checksum": checksum}]}
        (self.folder / "config.json").write_text(json.dumps(configuration))
        return [self.PROGRAM, "--config", self.folder / "config.json"]

    def variables(self):
        return self.environment(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY)

    def open_up(self, key):
        return self.at / BUCKET / key


def write_manifest(path, listing):
    """Rows of key, ETag, size and the checksum of these; returns the checksum of all."""
    everything = b""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        for key, etag, size in listing:
            row = f"{key}{etag}".encode() + size.to_bytes(8, "big")
            rows.writerow([key, etag, size, crc32c(row)])
            everything += row
    return crc32c(everything)


def _table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data):
    """In base64, as S3 writes it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return base64.b64encode((value ^ 0xFFFFFFFF).to_bytes(4, "big")).decode()


ALL = [Mountpoint]
