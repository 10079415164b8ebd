"""A machine in qemu with Debian's own kernel, whose root is that of the host (read-only, changes stay in memory)."""

import functools
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness import programs

HERE = pathlib.Path(__file__).resolve().parent
GUEST = programs.TOOLS / "guest"  # where deploy/deps.sh guest unpacks packages
QEMU = shutil.which("qemu-system-x86_64")
# What the root needs before it is there.
MODULES = ("virtio", "virtio_ring", "virtio_pci", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "9pnet", "9pnet_virtio", "9p", "netfs", "fscache", "overlay")
PROBE_SECONDS = 25


def kernel():
    return next((GUEST / "root" / "boot").glob("vmlinuz-*"))


@functools.cache
def initrd():
    """Makes the first root: busybox, a few modules, and init.sh."""
    root = GUEST / "root"
    release = kernel().name.removeprefix("vmlinuz-")
    subprocess.run([root / "bin" / "busybox", "depmod", "-b", root, release], check=True, capture_output=True)
    made = GUEST / "initrd.gz"
    with tempfile.TemporaryDirectory(dir=GUEST) as folder:
        top = pathlib.Path(folder)
        for name in ("bin", "dev", "proc", "sys", "low", "layer", "root"):
            (top / name).mkdir()
        shutil.copy(root / "bin" / "busybox", top / "bin" / "busybox")
        shutil.copy(HERE / "init.sh", top / "init")
        (top / "init").chmod(0o755)
        modules = root / "lib" / "modules" / release
        wanted = [path for path in modules.rglob("*.ko") if path.stem in MODULES] + list(modules.glob("modules.*"))
        for path in wanted:
            target = top / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        names = "".join(f"{path.relative_to(top)}\n" for path in sorted(top.rglob("*")))
        archive = subprocess.run([root / "bin" / "busybox", "cpio", "-o", "-H", "newc"], cwd=top, input=names.encode(), check=True, capture_output=True).stdout
        made.write_bytes(gzip.compress(archive, 1))
    return made


@functools.cache
def accelerator():
    """KVM where a guest comes up by it, else emulation, which is some ten times slower."""
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        probe = command("kvm", "quiet", memory_mib=512)
        try:
            # Without a script there is nothing to run: it says so, and powers off.
            ended = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False)
            if b"guest: the script ended" in ended.stdout:
                return "kvm"
        except subprocess.TimeoutExpired:
            pass
    return "tcg,thread=multi"


def command(accel, arguments, out=None, memory_mib=4096):
    processor = "host,-arch-capabilities" if accel == "kvm" else "max"
    shares = [("host", pathlib.Path("/"), "on"), ("out", out or GUEST, "off" if out else "on")]
    share = [word for tag, path, read_only in shares
             for word in ("-virtfs", f"local,path={path},mount_tag={tag},security_model=none,readonly={read_only},multidevs=remap")]
    return [QEMU, "-accel", accel, "-cpu", processor, "-smp", "2", "-m", str(memory_mib), "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio",
            "-kernel", kernel(), "-initrd", initrd(), "-append", f"console=ttyS0 panic=-1 {arguments}", *share]


def run(script, out, limit):
    """Runs `script`, a path of the host, in a guest of its own; returns what it printed and its exit code. `out` is a folder that the guest may
    write to, as /run/out; in out/environment it finds where things are."""
    out.mkdir(exist_ok=True)
    (out / "environment").write_text(
        "".join(f"export {name}='{value}'\n" for name, value in {
            "MODELFS_GUEST": GUEST, "MODELFS_REPOSITORY": programs.REPOSITORY, "MODELFS_BIN_DIR": programs.BIN.resolve(),
            "MODELFS_TOOLS": programs.TOOLS.resolve(), "MODELFS_PYTHON": programs.TOOLS / "venv" / "bin" / "python", "HOME": "/root"}.items()))
    words = command(accelerator(), f"quiet modelfs.run={script}", out=out)
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, check=False)
    text = ended.stdout.decode(errors="replace").replace("\r", "")
    code = re.search(r"guest: the script ended with (\d+)", text)
    return text, int(code.group(1)) if code else None
